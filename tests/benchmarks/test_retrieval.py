"""The benchmark of retrieval compares equal work: on small pools every side finds the same."""

import argparse

import numpy as np
import pytest
from tolerances import COSINE, within

from benchmarks import retrieval


@pytest.mark.parametrize("case", retrieval.CASES)
def test_both_sides_of_a_case_find_the_same(case):
    for module in ("rank_bm25", "bm25s", "faiss"):
        pytest.importorskip(module)
    arguments = argparse.Namespace(data_dir="", entries=300, k=4)
    (ours, numbers), (theirs, _) = (retrieval.measure(arguments, case, side) for side in retrieval.CASES[case][2])
    within(retrieval.compare(ours, theirs)["largest_relative_difference"], COSINE)
    assert numbers["seconds"] > 0 and numbers["entries"] == 300


def test_different_results_void_a_comparison():
    found = np.zeros((2, 3), int), np.ones((2, 3), np.float32)
    with pytest.raises(SystemExit, match="the results differ"):
        retrieval.compare(found, (found[0], found[1] * 1.01))
