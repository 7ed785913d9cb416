"""What is Llama's own, and what other families take from it: shared keys, GGUF's order of rotation pairs."""

import numpy as np
import pytest
import tiny

from ipt_jax.errors import InputError
from ipt_jax.models.families import llama
from ipt_jax.models.families.hf_config import HfConfig


def config(**fields):
    return llama.config_from_hf(tiny.hf_config("llama", **fields))


def test_heads_have_keys_of_their_own_unless_the_file_says_how_many_share():
    fields = {name: value for name, value in tiny.hf_config("llama").items() if name != "num_key_value_heads"}
    assert llama.config_from_hf(fields).num_kv_heads == 4
    assert config(num_key_value_heads=1).num_kv_heads == 1


def test_heads_may_be_wider_than_their_share():
    assert (config().head_dim, config(head_dim=16).head_dim) == (8, 16)


def test_gguf_lays_rotation_pairs_side_by_side_and_they_are_put_half_a_head_apart():
    c = config(num_attention_heads=2, num_key_value_heads=1, head_dim=4)
    (query,) = (row for row in llama.gguf_weights(c) if row.place == "blocks.query.kernel")
    stored = np.arange(8)[:, None] * np.ones((1, 3), int)  # rows of two heads, as GGUF keeps them
    assert query.transform(stored, c).tolist() == [[0, 2, 1, 3, 4, 6, 5, 7]] * 3


def test_a_gguf_file_without_an_output_projection_ties_it():
    sizes = {"embedding_length": 32, "block_count": 2, "feed_forward_length": 48, "context_length": 64}
    fields = {f"llama.{name}": value for name, value in sizes.items()}
    fields |= {"llama.attention.head_count": 4, "llama.attention.layer_norm_rms_epsilon": 1e-5}
    fields |= {"tokenizer.ggml.tokens": ["a"] * 40}
    for names, tied in ((set(), True), ({"output.weight"}, False)):
        found = llama.config_from_hf(llama.hf_config_from_gguf(HfConfig(fields, "the file"), names))
        assert (found.tied_head, found.vocab_size, found.num_kv_heads) == (tied, 40, 4)


def test_a_gguf_file_with_scaled_rotations_is_refused():
    fields = HfConfig({"llama.rope.scaling.type": "yarn"}, "the file")
    with pytest.raises(InputError, match=r"llama\.rope\.scaling\.type"):
        llama.hf_config_from_gguf(fields, set())


def test_a_kind_of_layer_that_is_unknown_is_refused_with_what_there_is():
    fields = HfConfig({"num_hidden_layers": 2, "layer_types": ["sliding_attention", "linear"]}, "the file")
    with pytest.raises(InputError, match="one of sliding_attention, full_attention for each of the 2 layers"):
        llama.is_sliding(fields, [])
    fields = HfConfig({"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}, "the file")
    assert llama.is_sliding(fields, []) == [True, False]


def test_the_tables_of_both_files_fill_the_same_places():
    assert {row.place for row in llama.gguf_weights(config())} <= {row.place for row in llama.hf_weights(config())}
