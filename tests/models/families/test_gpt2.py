"""What is GPT-2's own: one tensor for queries, keys and values, and a scale that may fall with the layer."""

import numpy as np
import pytest
import tiny

from ipt_jax.errors import InputError
from ipt_jax.models.families import gpt2


def test_a_feed_forward_layer_is_four_times_as_wide_unless_the_file_says_how_wide():
    fields = tiny.hf_config("gpt2")
    assert gpt2.config_from_hf(fields).mlp_dim == 128
    assert gpt2.config_from_hf({**fields, "n_inner": 48}).mlp_dim == 48


def test_scores_are_divided_by_the_number_of_the_layer_where_the_file_says_so():
    fields = tiny.hf_config("gpt2", n_layer=3)
    assert gpt2.config_from_hf(fields).score_scales == (8**-0.5,) * 3
    by_layer = gpt2.config_from_hf({**fields, "scale_attn_by_inverse_layer_idx": True})
    assert by_layer.score_scales == pytest.approx(8**-0.5 / np.array([1, 2, 3]))
    unscaled = gpt2.config_from_hf({**fields, "scale_attn_weights": False})
    assert unscaled.score_scales == (1.0,) * 3


def test_cross_attention_is_refused_by_name():
    with pytest.raises(InputError, match="add_cross_attention"):
        gpt2.config_from_hf(tiny.hf_config("gpt2", add_cross_attention=True))


def test_kernels_are_taken_as_they_lie_and_masks_are_passed_over():
    config = gpt2.config_from_hf(tiny.hf_config("gpt2"))
    table = {row.place: row for row in gpt2.hf_weights(config)}
    kernel = np.arange(32 * 128).reshape(32, 128)
    assert (table["blocks.up.kernel"].transform(kernel, config) == kernel).all()
    assert any("masked_bias" in pattern for pattern in gpt2.hf_ignored(config))
