"""The longest common subsequence, of words or of letters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def common_subsequence(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004): bit i of `row` is 0 where the subsequence grows at `a[i]`, so that a row of the
    usual table is one integer and costs a few machine instructions instead of a Python loop.

        >>> common_subsequence("the cat sat down".split(), "the dog sat down".split())
        3
    """
    places: dict[Hashable, int] = {}
    for i, item in enumerate(a):
        places[item] = places.get(item, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for item in b:
        matches = row & places.get(item, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()
