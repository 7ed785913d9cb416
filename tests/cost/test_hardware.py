"""How long work takes on a device: what bounds it, and rates that are measured here."""

import dataclasses

import jax.numpy as jnp
import pytest
from tiny import tiny_lm

from ipt_jax.cost.hardware import EXCHANGE_SECONDS, LAYER_SECONDS, PUBLISHED, Work, this_device

DEVICE = dataclasses.replace(PUBLISHED[0], flops=100.0, bandwidth=10.0, share=0.5)


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(200.0), 4.0),  # at half of 100 a second
        (Work(200.0, bytes=30.0), 6.0),  # at half of 10 a second
        (Work(200.0, bytes=30.0, layers=7 / LAYER_SECONDS), 7.0),
    ],
)
def test_work_takes_as_long_as_the_slowest_of_what_bounds_it(work, seconds):
    assert DEVICE.seconds(work) == pytest.approx(seconds)


def test_nothing_is_launched_on_a_cpu():
    assert dataclasses.replace(DEVICE, is_cpu=True).seconds(Work(1.0, layers=1e9)) == 1 / 50


def test_what_is_sent_is_waited_for_and_takes_a_least_time_for_each_exchange():
    device = dataclasses.replace(DEVICE, link=4.0)
    assert device.seconds(Work(200.0, sent=10.0, exchanges=1)) == pytest.approx(4.0 + 5.0)
    assert device.seconds(Work(200.0, sent=1e-9, exchanges=3 / EXCHANGE_SECONDS)) == pytest.approx(4.0 + 3.0)


def test_published_devices_say_where_their_rates_are_from_and_multiply_more_than_they_read():
    for device in PUBLISHED:
        assert device.source and 100 < device.flops / device.bandwidth < 500 and 10e9 < device.memory < 200e9
        assert device.link < device.bandwidth < 20 * device.link


def test_this_machine_is_measured():
    device = this_device(tiny_lm().decoder.config, jnp.float32)
    assert device.is_cpu and device.itemsize == 4 and device.source == "measured"
    assert device.link == 0 and device.flops > 1e8 and device.bandwidth > 1e8 and device.budget > 2**28
