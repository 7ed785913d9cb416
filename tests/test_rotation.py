"""Shares of the tests: each test is in one of them, after the other selections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import HELPERS
from rotation import share_of

pytest_plugins = "pytester"


@given(st.integers(0, 50), st.integers(1, 12))
def test_every_test_is_in_exactly_one_share_and_shares_differ_by_one_test_at_most(tests, count):
    shares = [share_of(range(tests), f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(test for kept, _ in shares for test in kept) == list(range(tests))
    assert all(sorted(kept + others) == list(range(tests)) for kept, others in shares)
    assert max(len(kept) for kept, _ in shares) - min(len(kept) for kept, _ in shares) <= 1


@pytest.mark.parametrize("share", ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", ""])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(pytest.UsageError, match=f"--share={share} should be K/N"):
        share_of("abc", share)


EXAMPLE = """
import pytest

@pytest.mark.parametrize("case", range(7))
def test_quick(case): pass

@pytest.mark.slow
@pytest.mark.parametrize("case", range(7))
def test_long(case): pass
"""
SETTINGS = """
import sys
sys.path.insert(0, {tests!r})
from rotation import pytest_addoption, pytest_collection_modifyitems
def pytest_configure(config): config.addinivalue_line("markers", "slow: takes long")
"""


@pytest.fixture
def collected(pytester):
    pytester.makeconftest(SETTINGS.format(tests=str(HELPERS)))
    pytester.makepyfile(test_example=EXAMPLE)
    pytester.makeini("[pytest]\naddopts = -m 'not slow'\n")

    def names(*flags):
        done = pytester.runpytest_inprocess("--collect-only", "-q", "-p", "no:cacheprovider", *flags)
        assert done.ret == 0
        return [line.rpartition("::")[2] for line in done.outlines if "::" in line]

    return names


def test_all_shares_of_the_slow_tests_together_are_the_slow_tests_in_pytests_own_run(collected):
    shares = [collected("-m", "slow", f"--share={number}/3") for number in (1, 2, 3)]
    assert sorted(test for share in shares for test in share) == [f"test_long[{case}]" for case in range(7)]
    assert shares[0] == ["test_long[0]", "test_long[3]", "test_long[6]"]
    assert collected("--share=2/2") == ["test_quick[1]", "test_quick[3]", "test_quick[5]"]
