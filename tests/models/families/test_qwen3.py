"""What is Qwen3's own: queries and keys that are normalised, and heads of 128 whatever the width."""

import tiny

from ipt_jax.models.families import qwen3

FIELDS = {**tiny.hf_config("llama"), "model_type": "qwen3"}


def test_each_heads_query_and_key_is_normalised():
    config = qwen3.config_from_hf(FIELDS)
    assert config.query_key_norm
    places = {row.place for row in qwen3.hf_weights(config)}
    assert {"blocks.query_norm.scale", "blocks.key_norm.scale"} <= places


def test_heads_are_128_wide_where_the_file_does_not_say():
    assert qwen3.config_from_hf(FIELDS).head_dim == 128
    assert qwen3.config_from_hf({**FIELDS, "head_dim": 16}).head_dim == 16


def test_biases_are_there_only_where_the_file_says_so():
    for value in (False, True):
        config = qwen3.config_from_hf({**FIELDS, "attention_bias": value})
        assert (config.qkv_bias, config.out_bias) == (value, value)
