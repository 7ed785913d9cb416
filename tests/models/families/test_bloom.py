"""What is BLOOM's own: ALiBi, a norm behind the embeddings, and older names of fields."""

import pytest
import tiny

from ipt_jax.errors import InputError
from ipt_jax.models.families import bloom


def test_scores_fall_with_the_distance_and_embeddings_are_normalised():
    config = bloom.config_from_hf(tiny.hf_config("bloom"))
    assert (config.positions, config.embedding_norm, config.rotaries) == ("alibi", True, ())
    assert "embedding_norm.scale" in {row.place for row in bloom.hf_weights(config)}


def test_older_and_newer_names_of_a_size_are_one():
    newer = tiny.hf_config("bloom")
    older = {name: value for name, value in newer.items() if name not in ("hidden_size", "n_head", "n_layer")}
    older |= {"n_embed": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
    assert bloom.config_from_hf(older) == bloom.config_from_hf(newer)


def test_a_residual_behind_the_norm_is_refused_by_name():
    with pytest.raises(InputError, match="apply_residual_connection_post_layernorm"):
        bloom.config_from_hf(tiny.hf_config("bloom", apply_residual_connection_post_layernorm=True))


def test_a_head_of_its_own_is_not_passed_over():
    assert bloom.hf_ignored(bloom.config_from_hf(tiny.hf_config("bloom", tie_word_embeddings=False))) == []
