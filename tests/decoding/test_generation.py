"""A work list from its first row to its last: rows that come and go, no late compilation, too little memory."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, requests_of
from tolerances import LOG_PROBABILITY, close

from ipt_jax.decoding import generation, slots
from ipt_jax.decoding.settings import Search

LM = LMS["gpt2"]


def stream(work, search, batch_size=4, **settings):
    """The lists of (index, generation) as they come."""
    requests = requests_of(work)
    for finished in generation.generate(LM, jnp.asarray(PROMPTS), requests, search, batch_size=batch_size, **settings):
        yield [(request.id, generated) for request, generated in finished]


def collect(batches, count):
    rows = [None] * count
    for finished in batches:
        for index, generated in finished:
            assert rows[index] is None
            rows[index] = generated
    return rows


def random_work(count, longest=30):
    random = np.random.default_rng(0)
    return [(i % 2, random.integers(1, 200, n).tolist()) for i, n in enumerate(random.integers(1, longest, count))]


@pytest.fixture
def compiled():
    """Names of what XLA compiles from here on."""
    events = []

    def note(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)  # stays: jax has no way to take one listener back
    return events


def test_nothing_compiles_after_the_warm_up_and_nothing_at_all_the_second_time(compiled):
    work, search = random_work(40), Search(7, num_beams=2)
    batches = stream(work, search)
    first = next(batches)
    warm_up = len(compiled)
    assert slots.compilations() > 0 < warm_up
    collect([first, *batches], len(work))
    assert len(compiled) == warm_up
    programs = slots.compilations()
    collect(stream(random_work(40), search), len(work))
    assert len(compiled) == warm_up and slots.compilations() == programs


def test_a_long_answer_does_not_hold_back_the_rows_behind_it():
    work = sorted(random_work(60), key=lambda row: -len(row[1]))  # in the order in which they enter
    free = [row.tokens for row in collect(stream(work, Search(24, stop=()), batch_size=8), len(work))]
    early = [token for tokens in free for token in set(tokens[:6])]
    end = max(set(early), key=early.count)  # an end token that many rows write at once
    endless = next(i for i, tokens in enumerate(free) if end not in tokens)
    quick = [i for i, tokens in enumerate(free) if i > endless and end in tokens[:6]]
    assert len(quick) > 8
    chosen = [work[i] for i in (endless, *quick)]
    batches = stream(chosen, Search(24, stop=(), eos_token_id=end), batch_size=8)  # of which four enter at a time
    order = [i for finished in batches for i, _ in finished]
    assert sorted(order) == list(range(len(chosen))) and order.index(0) > 4


def test_rows_that_share_their_slots_with_others_one_after_another_get_what_each_gets_alone():
    work, search = random_work(36), Search(9, stop=("\n",), num_beams=3)
    together = collect(stream(work, search), len(work))
    alike = [i for i, (_, tokens) in enumerate(work) if 16 < len(tokens) <= 32][::4]  # alone they share a program
    assert len(alike) > 1
    for row, got in [(work[i], together[i]) for i in alike]:
        (alone,) = collect(stream([row], search), 1)
        assert alone.tokens == got.tokens and alone.stop == got.stop
        close(alone.log_probability, got.log_probability, LOG_PROBABILITY)


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
