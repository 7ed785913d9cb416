"""Slots: rows that come and go beside one another, and no program that is compiled late."""

import jax
import pytest
from tolerances import LOG_PROBABILITY, close
from work_lists import collect, random_work, stream

from ipt_jax.decoding import slots
from ipt_jax.decoding.settings import Search


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
