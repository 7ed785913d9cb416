"""What is Qwen2's own: biases of queries, keys and values, and windows that are off unless switched on."""

import pytest
import tiny

from ipt_jax.models.families import qwen2
from ipt_jax.models.families.hf_config import HfConfig

FIELDS = {**tiny.hf_config("llama"), "model_type": "qwen2", "num_hidden_layers": 4}


def windows(**fields):
    return qwen2.windows(HfConfig({"num_hidden_layers": 4, **fields}, "the file"))


def test_queries_keys_and_values_have_biases_and_what_comes_out_has_none():
    config = qwen2.config_from_hf(FIELDS)
    assert (config.qkv_bias, config.out_bias, config.mlp_bias) == (True, False, False)


def test_a_window_that_is_not_switched_on_is_none():
    assert windows(sliding_window=8, max_window_layers=0) == ()


@pytest.mark.parametrize(("first", "expected"), [(0, (8, 8, 8, 8)), (3, (None, None, None, 8)), (4, (None,) * 4)])
def test_windows_begin_at_the_layer_that_the_file_names(first, expected):
    assert windows(use_sliding_window=True, sliding_window=8, max_window_layers=first) == expected


def test_kinds_of_layers_go_before_the_first_layer_of_a_window():
    kinds = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
    found = windows(use_sliding_window=True, sliding_window=8, max_window_layers=0, layer_types=kinds)
    assert found == (None, 8, None, 8)
