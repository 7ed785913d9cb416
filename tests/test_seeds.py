"""Random numbers by name."""

import numpy as np
import pytest

from ipt_jax import seeds


def test_a_stream_depends_on_seed_and_names_alone():
    first = seeds.rng(0, "order", 3).random(4)
    seeds.rng(0, "prompt").random(100)
    assert (seeds.rng(0, "order", 3).random(4) == first).all()


@pytest.mark.parametrize("other", [(1, "order", 3), (0, "order", 4), (0, "orders", 3), (0, "order", "3", "")])
def test_another_seed_or_name_is_another_stream(other):
    assert not np.array_equal(seeds.rng(*other).random(4), seeds.rng(0, "order", 3).random(4))


def test_names_cannot_be_moved_between_their_places():
    assert not np.array_equal(seeds.rng(0, "ab", "c").random(4), seeds.rng(0, "a", "bc").random(4))


def test_the_numbers_are_pinned_so_that_runs_of_older_versions_can_be_repeated():
    assert seeds.rng(7, "demonstration", "test:0").integers(0, 1000, 5).tolist() == [766, 452, 609, 604, 765]
