"""The simulation of jobs on groups of devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.jobs import Job, finish


def test_the_longest_job_goes_first_and_a_job_waits_for_those_whose_prompts_it_takes():
    jobs = [Job("a", 2.0), Job("b", 3.0), Job("c", 2.0)]
    assert [finish(jobs, groups) for groups in (1, 2, 3, 9)] == [7.0, 4.0, 3.0, 3.0]
    chain = [Job("b", 3.0, frozenset({"a"})), Job("a", 2.0), Job("c", 1.0, frozenset({"a", "b"}))]
    assert finish(chain, 5) == 6.0


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=30), st.integers(1, 12))
def test_no_schedule_beats_an_even_share_and_none_takes_twice_as_long_as_needed(seconds, groups):
    ends = finish([Job(str(i), each) for i, each in enumerate(seconds)], groups)
    least = max(sum(seconds) / groups, *seconds)
    assert least <= ends * (1 + 1e-9) and ends <= 2 * least * (1 + 1e-9)


def test_jobs_that_wait_for_a_job_that_is_not_there_are_an_error():
    with pytest.raises(ValueError, match="wait"):
        finish([Job("a", 1.0, frozenset({"nobody"}))], 2)
