"""Devices together: how they are named, and the ways to split them."""

import pytest

from ipt_jax.cost.hardware import PUBLISHED
from ipt_jax.cost.spread import DEFAULT, Split, parse, splits
from ipt_jax.errors import InputError


def test_a_list_of_devices_is_read_whatever_its_case_and_blanks():
    h200, v5e = (next(d for d in PUBLISHED if d.name == name) for name in ("NVIDIA H200 SXM", "TPU v5e chip"))
    assert parse("8 x NVIDIA H200 SXM,64×tpu v5e CHIP ") == [(8, h200), (64, v5e)]
    assert [count for count, _ in parse(DEFAULT)] == [1, 8, 64]


@pytest.mark.parametrize("text", ["8 x H200", "NVIDIA H200 SXM", "0 x TPU v5e chip", "", "8 x TPU v5e chip,"])
def test_what_is_no_number_of_known_devices_is_refused_with_the_names_there_are(text):
    with pytest.raises(InputError, match="TPU v5e chip, TPU v4 chip"):
        parse(text)


@pytest.mark.parametrize("count", [1, 7, 12, 64])
def test_every_split_uses_all_devices_and_none_comes_twice(count):
    found = splits(count, PUBLISHED[0])
    assert {split.count for split in found} == {count}
    assert [split.model for split in found] == [n for n in range(1, count + 1) if count % n == 0]
    assert Split(PUBLISHED[0], 4, 2).name == "8 x NVIDIA H200 SXM"
