"""What stands in the place of an object."""

import random

import pytest

from ipt_jax.tasks.sample.values import Value, amount


@pytest.mark.parametrize(
    ("draw", "raw", "text"),
    [
        (amount(42, 43, "km", "kilometres"), "42 km", "42 kilometres"),
        (amount(7, 8, "min", "minutes"), "7 min", "seven minutes"),
        (amount(12, 13), "12", "twelve"),
    ],
)
def test_an_amount_is_spelled_with_words_and_whole_units(draw, raw, text):
    assert draw(random.Random(0)) == Value(raw, text)
