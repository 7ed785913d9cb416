"""`pytest --share=K/N`: the K-th of N parts of the selected tests, so that a machine with little time does all in turn.

Tests are dealt out like cards, in the order in which they are found. Every test is in exactly one share, whatever
N is, and the cases of one test, which take about as long as one another, lie in different shares.
"""

import re

import pytest


def pytest_addoption(parser):
    parser.addoption("--share", metavar="K/N", help="of the selected tests only the K-th of N shares, as in 3/8")


def share_of(items, share):
    """(the items of a share, the others), in order.

    >>> share_of("abcdefg", "2/3")
    (['b', 'e'], ['a', 'c', 'd', 'f', 'g'])
    """
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", share)
    if not found or int(found[1]) > int(found[2]):
        raise pytest.UsageError(f"--share={share} should be K/N with K from 1 to N, such as 3/8")
    number, count = int(found[1]), int(found[2])
    kept = [item for index, item in enumerate(items) if index % count == number - 1]
    return kept, [item for index, item in enumerate(items) if index % count != number - 1]


@pytest.hookimpl(trylast=True)  # after -m and -k
def pytest_collection_modifyitems(config, items):
    if share := config.getoption("share"):
        items[:], others = share_of(items, share)
        config.hook.pytest_deselected(items=others)
