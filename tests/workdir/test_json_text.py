"""JSON texts, with one kind of failure."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.workdir.json_text import canonical_json, check_characters, dumps, parse, parse_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value):
    text = dumps(value)
    try:
        text.decode("utf-8")
    finally:
        assert parse(text) == value


@given(VALUES)
def test_a_value_has_one_canonical_text_whatever_the_order_of_its_keys(value):
    def turned(tree):
        if isinstance(tree, dict):
            return {key: turned(each) for key, each in reversed(tree.items())}
        return [turned(each) for each in tree] if isinstance(tree, list) else tree

    assert canonical_json(turned(value)) == canonical_json(value)


def test_arrays_count_as_lists_and_numbers():
    assert dumps({"a": np.arange(2), "b": jnp.float32(0.5), "c": (1,)}) == b'{"a": [0, 1], "b": 0.5, "c": [1]}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON: .* \\(column 2\\)"),
        ("NaN", "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        (b"\xff", "not UTF-8 text"),
        ("[" * 100_000, "brackets are nested too deeply"),
        ("1" * 10_000, "Exceeds the limit"),
    ],
)
def test_a_text_that_is_none_is_a_value_error_with_its_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


def test_an_object_is_wanted_where_one_is_asked_for():
    with pytest.raises(ValueError, match="an object is expected, not list"):
        parse_object("[1]")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_numbers_that_are_none_are_not_written(value):
    with pytest.raises(ValueError):
        dumps(value)


def test_what_has_no_json_form_is_named_with_its_type():
    with pytest.raises(TypeError, match="of type object has no JSON form"):
        dumps(object())


def test_half_a_surrogate_pair_is_no_character_and_a_whole_one_is():
    for text, halves in (('"\\ud83d\\ude00"', False), ('"\\ud83d"', True), ('"\\\\ud83d"', False)):
        if halves:
            with pytest.raises(ValueError, match="half a surrogate pair"):
                check_characters(text, parse(text))
        else:
            check_characters(text, parse(text))
