"""What is OPT's own: positions from the third row on, and the one size that normalises behind the residual."""

import numpy as np
import pytest

from ipt_jax.errors import InputError
from ipt_jax.models.families import opt

FIELDS = {"model_type": "opt", "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
FIELDS |= {"ffn_dim": 64, "max_position_embeddings": 100, "word_embed_proj_dim": 32}


def test_the_first_two_rows_of_positions_are_padding_and_left_out():
    config = opt.config_from_hf(FIELDS)
    (row,) = (row for row in opt.hf_weights(config) if row.place == "position_embedding")
    assert row.transform(np.arange(102), config).tolist() == list(range(2, 102))


def test_350m_normalises_behind_the_residual_and_has_no_last_norm():
    config = opt.config_from_hf({**FIELDS, "do_layer_norm_before": False})
    assert (config.residual, config.final_norm) == ("post_norm", False)
    assert opt.config_from_hf(FIELDS).final_norm


def test_narrower_embeddings_are_projected_in_and_out():
    config = opt.config_from_hf({**FIELDS, "word_embed_proj_dim": 16})
    assert (config.embed_dim, config.hidden_dim) == (16, 32)
    assert {"project_in.kernel", "project_out.kernel"} <= {row.place for row in opt.hf_weights(config)}


def test_norms_without_numbers_are_refused_by_name():
    with pytest.raises(InputError, match="layer_norm_elementwise_affine"):
        opt.config_from_hf({**FIELDS, "layer_norm_elementwise_affine": False})
