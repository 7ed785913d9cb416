"""Which examples a step learns from: an order without state, in which similar lengths share a batch."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax import seeds
from ipt_jax.rows.order import RULE, RULES, Order

LENGTHS = np.random.default_rng(0).integers(10, 200, size=640)
ANY = pytest.mark.parametrize(("grouped", "rule"), [(False, RULE), *((True, rule) for rule in RULES)])


@given(
    st.integers(0, 5),
    st.integers(1, 7),
    st.lists(st.integers(1, 50), min_size=1, max_size=60),
    st.booleans(),
    st.sampled_from(RULES),
)
def test_every_epoch_sees_every_example_once(seed, batch_size, lengths, grouped, rule):
    count = len(lengths)  # so many steps are batch_size whole epochs
    order = Order(seed, np.array(lengths), batch_size, grouped, rule)
    seen = np.concatenate([order.at(step) for step in range(count)]).reshape(batch_size, count)
    assert (np.sort(seen, axis=1) == np.arange(count)).all()


@ANY
def test_the_order_depends_on_seed_and_step_alone(grouped, rule):
    late_first = Order(3, LENGTHS, 8, grouped, rule).at(240)
    order = Order(3, LENGTHS, 8, grouped, rule)
    steps = [order.at(step) for step in range(300)]
    assert (steps[240] == late_first).all()
    assert (order.first(300) == steps).all() and (order.first(0).shape == (0, 8))
    assert (Order(4, LENGTHS, 8, grouped, rule).at(240) != late_first).any()


def test_the_order_is_the_one_that_runs_were_begun_with():
    # What these numbers change for, runs that are in the middle of their training go wrong: make another rule instead.
    for rule, digest in ((1, "f819420caeaebcbc"), (2, "caf8cba6d074d060")):
        drawn = Order(3, LENGTHS[:77], 4, rule=rule).first(60)
        assert hashlib.sha256(drawn.astype("<i8").tobytes()).hexdigest()[:16] == digest


def longest(seed, steps, count=640, **options):
    return LENGTHS[Order(seed, LENGTHS[:count], 8, **options).first(640)].max(axis=1)[steps]


def test_grouping_brings_similar_lengths_together_at_the_same_steps_for_all_members():
    first = slice(0, 40)
    assert longest(0, first).mean() < 0.75 * longest(0, first, grouped=False).mean()
    assert np.abs(longest(0, first) - longest(1, first)).mean() < 10
    assert (np.diff(longest(0, slice(0, 16))) < 0).any()  # long and short batches alternate within a group


def test_later_epochs_pad_as_little_as_the_first_though_it_did_not_end_with_a_whole_batch():
    def padded(rule, steps, count=637):
        chosen = LENGTHS[Order(0, LENGTHS[:count], 8, rule=rule).first(640)][steps]
        return 1 - chosen.sum() / (8 * chosen.max(axis=1).sum())

    first, later = slice(0, 79), slice(81, 320)
    assert padded(2, later) < 1.5 * padded(2, first) < 0.06
    assert padded(1, later) > 2 * padded(1, first)


@ANY
@pytest.mark.parametrize("steps", [0, 3, 80, 130])
def test_examples_are_counted_as_often_as_the_steps_draw_them(steps, grouped, rule):
    order = Order(3, LENGTHS, 8, grouped, rule)
    assert (order.times_drawn(steps) == np.bincount(order.first(steps).ravel(), minlength=len(LENGTHS))).all()


def test_streams_of_different_names_are_different_and_the_same_name_is_the_same():
    draws = {name: seeds.rng(0, name).integers(1 << 40) for name in ("order", "prompt", "demonstration")}
    assert len(set(draws.values())) == 3
    assert seeds.rng(0, "order").integers(1 << 40) == draws["order"]
    assert np.unique([seeds.rng(s, "order").integers(1 << 40) for s in range(20)]).size == 20
