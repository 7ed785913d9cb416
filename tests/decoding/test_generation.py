"""A work list from its first row to its last: rows that come and go, no late compilation, too little memory."""

import logging

import jax
import pytest
from work_lists import collect, random_work, stream

from ipt_jax.decoding import generation, slots
from ipt_jax.decoding.settings import Search


def exhausted(times, monkeypatch):
    """Makes decoding run out of memory so many times, each after the first rows have left; returns the sizes tried."""
    decode, tried = slots.Slots.decode, []

    def failing(self):
        tried.append(self.plan.slots)
        rows = decode(self)
        if len(tried) <= times:
            yield next(rows)
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.")
        yield from rows

    monkeypatch.setattr(slots.Slots, "decode", failing)
    return tried


def test_out_of_device_memory_halves_the_batch_once_says_so_and_loses_no_row(monkeypatch, caplog):
    work, search = random_work(24), Search(7)
    expected = collect(stream(work, search), len(work))
    tried = exhausted(1, monkeypatch)
    with caplog.at_level(logging.WARNING, logger="ipt_jax"):
        got = collect(stream(work, search), len(work))
    assert [row.tokens for row in got] == [row.tokens for row in expected]
    assert tried == [4, 2] and "going on with 2 rows at once" in caplog.text


def test_out_of_device_memory_for_the_second_time_is_an_error(monkeypatch):
    tried = exhausted(2, monkeypatch)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        collect(stream(random_work(24), Search(7)), 24)
    assert tried == [4, 2]


def test_another_error_of_the_device_is_not_taken_for_a_lack_of_memory(monkeypatch):
    def broken(self):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")
        yield

    monkeypatch.setattr(slots.Slots, "decode", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
        collect(stream(random_work(4), Search(7)), 4)


def test_as_many_rows_as_the_memory_holds_are_decoded_together_if_no_number_is_given(monkeypatch):
    tried = exhausted(0, monkeypatch)
    work, search = random_work(40), Search(7)
    monkeypatch.setattr(generation, "device_budget", lambda: 10**12)
    first = collect(stream(work, search, batch_size=0), len(work))
    monkeypatch.setattr(generation, "device_budget", lambda: 0)
    second = collect(stream(work[:2], search, batch_size=0), 2)
    assert tried == [32, 1] and [row.tokens for row in second] == [row.tokens for row in first[:2]]


def test_no_work_gives_nothing():
    assert list(stream([], Search(7))) == []
