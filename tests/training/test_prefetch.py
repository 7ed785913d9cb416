"""Batches one step ahead in a thread, and the time the device waits for them."""

import threading
import time

import pytest

from ipt_jax.training.prefetch import Prefetch

BUSY, IDLE = (lambda: False), (lambda: True)


def test_batches_come_in_order_and_the_next_one_is_made_meanwhile():
    made, ahead = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 4:
            ahead.set()
        return step * 10

    with Prefetch(make, 3, 6) as batches:
        assert batches.get(BUSY) == 30
        assert ahead.wait(timeout=10)  # nobody asked for step 4 yet
        assert [batches.get(BUSY), batches.get(BUSY)] == [40, 50]
    assert made == [3, 4, 5]


def test_waiting_counts_only_while_the_device_has_nothing_to_do():
    def slow(step):
        time.sleep(0.1)
        return step

    with Prefetch(slow, 0, 2) as batches:
        batches.get(BUSY)
        assert batches.waited == 0.0
        batches.get(IDLE)
        assert batches.waited >= 0.05


def test_an_error_while_a_batch_is_made_is_raised_where_the_batch_is_wanted():
    def make(step):
        if step == 1:
            raise ValueError("torn")
        return step

    with Prefetch(make, 0, 3) as batches:
        assert batches.get(IDLE) == 0
        with pytest.raises(ValueError, match="torn"):
            batches.get(IDLE)


def test_without_steps_nothing_is_made():
    with Prefetch(lambda step: pytest.fail("made"), 5, 5):
        pass
