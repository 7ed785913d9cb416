"""One tensor with queries, keys and values, cut as two families lay it out."""

import types

import numpy as np

from ipt_jax.models.families.fused import by_head, side_by_side

CONFIG = types.SimpleNamespace(num_heads=3, head_dim=2)
PLACES = ("query", "key", "value")


def cut(table, leaf, array):
    return [row.transform(array, CONFIG) for p in PLACES for row in table if row.place == f"blocks.{p}.{leaf}"]


def test_side_by_side_has_all_queries_first():
    kernel = np.arange(4 * 18).reshape(4, 18)
    for i, part in enumerate(cut(side_by_side("attn"), "kernel", kernel)):
        assert (part == kernel[:, 6 * i : 6 * i + 6]).all()
    for i, part in enumerate(cut(side_by_side("attn"), "bias", np.arange(18))):
        assert part.tolist() == list(range(6 * i, 6 * i + 6))


def test_by_head_has_the_query_key_and_value_of_a_head_side_by_side():
    kernel = np.arange(18 * 4).reshape(18, 4)
    for i, part in enumerate(cut(by_head("attn"), "kernel", kernel)):
        rows = [6 * head + 2 * i + number for head in range(3) for number in range(2)]
        assert (part == kernel[rows].T).all()
    for i, part in enumerate(cut(by_head("attn"), "bias", np.arange(18))):
        assert part.tolist() == [6 * head + 2 * i + number for head in range(3) for number in range(2)]


def test_each_tensor_is_named_once_for_each_of_its_parts():
    assert [row.source for row in side_by_side("c")].count("c.weight") == 3
    assert [row.source for row in by_head("c")].count("c.bias") == 3
