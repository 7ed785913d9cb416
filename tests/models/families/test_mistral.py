"""What is Mistral's own: a window in every layer, which a file lacks where it is the first release's."""

import tiny

from ipt_jax.models.families import mistral

FIELDS = {**tiny.hf_config("llama"), "model_type": "mistral", "max_position_embeddings": 8192}


def test_a_file_that_says_nothing_of_a_window_has_that_of_the_first_release():
    assert mistral.config_from_hf(FIELDS).windows == (4096, 4096)


def test_null_is_no_window_and_a_number_is_that_of_every_layer():
    assert mistral.config_from_hf({**FIELDS, "sliding_window": None}).windows == (None, None)
    assert mistral.config_from_hf({**FIELDS, "sliding_window": 16}).windows == (16, 16)


def test_eight_heads_of_keys_are_taken_where_the_file_does_not_say():
    fields = {name: value for name, value in FIELDS.items() if name != "num_key_value_heads"}
    config = mistral.config_from_hf({**fields, "num_attention_heads": 16})
    assert (config.num_kv_heads, config.qkv_bias) == (8, False)
