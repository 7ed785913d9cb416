"""How a list of rows is cut into groups of few shapes, and how many rows fit a device."""

import itertools

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_lm

from ipt_jax.decoding.schedule import few_widths, plan, rows_that_fit
from ipt_jax.decoding.settings import Search


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=80), st.sampled_from([1, 4, 8, 32]), st.sampled_from([1, 2, 4])
)
def test_every_row_is_in_one_group_that_is_wide_enough_and_has_room_in_a_slot(lengths, slots, share):
    made = plan(lengths, max(slots, share), 1000, share=share)
    assert sorted(row for group in made.groups for row in group.rows) == list(range(len(lengths)))
    for group in made.groups:
        assert max(lengths[row] for row in group.rows) <= group.width <= made.contexts[0]
        assert len(group.rows) <= made.entering <= made.slots <= max(slots, share)
    assert made.slots % share == made.entering % share == 0
    widest = [max(lengths[row] for row in group.rows) for group in made.groups]
    assert widest == sorted(widest, reverse=True)


def test_a_short_list_is_decoded_in_few_slots_and_a_long_one_in_few_shapes():
    assert plan([10] * 5, 32, 1000).slots == 8
    made = plan([*range(1, 900)], 32, 1000)
    assert made.slots == 32 and len({group.width for group in made.groups}) <= 10 and len(made.contexts) <= 3
    assert len({group.width for group in plan([1, 300, 20, 600], 4, 1000).groups}) == 1


def test_no_width_passes_the_limit():
    assert plan([95, 3], 4, 100).groups[0].width == 96
    assert plan([99, 3], 4, 100).groups[0].width == 100


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 4))
def test_the_chosen_widths_pad_as_little_as_any_choice(wanted, count):
    def padded(widths):
        return sum(min(w for w in widths if w >= width) for width in wanted)

    sizes = sorted(set(wanted))
    choices = itertools.combinations(sizes, min(count, len(sizes)))
    best = min(padded(choice) for choice in choices if choice[-1] == sizes[-1])
    chosen = few_widths(wanted, count)
    assert len(chosen) <= count and padded(chosen) == best


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_estimate_of_a_rows_memory_covers_its_cache_and_not_ten_times_that(family):
    config = tiny_lm(family).decoder.config
    search = Search(max_new_tokens=16, num_beams=4)
    rows = rows_that_fit(config, search, positions=4000, itemsize=4, budget=10**9)
    cache = 2 * config.num_layers * config.num_kv_heads * config.head_dim * 4 * (4000 + 4 * 16)
    assert 10**9 / 10 < rows * cache < 10**9
    assert rows_that_fit(config, search, positions=4000, itemsize=4, budget=-1) == 1
    assert jax.tree.leaves(search) == [search]  # static: no array may hide in it
