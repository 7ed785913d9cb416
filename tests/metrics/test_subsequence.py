"""The longest common subsequence."""

import random

from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.metrics.subsequence import common_subsequence

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)


def slow_common_subsequence(a, b):
    """The table of the textbook."""
    row = [0] * (len(b) + 1)
    for x in a:
        before, row = row, [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


@given(WORDS, WORDS)
def test_the_bit_parallel_subsequence_is_the_textbooks(a, b):
    assert common_subsequence(a, b) == slow_common_subsequence(a, b)


def test_a_subsequence_longer_than_a_machine_word_is_right():
    rng = random.Random(0)
    a, b = ([rng.choice("abcd") for _ in range(n)] for n in (500, 300))
    assert common_subsequence(a, b) == slow_common_subsequence(a, b)
