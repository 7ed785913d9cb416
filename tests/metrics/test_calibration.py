"""The expected calibration error against its definition, written as a loop."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.metrics.calibration import BINS, calibration_error
from ipt_jax.metrics.metric import total
from ipt_jax.tasks.base import Example

ECE = calibration_error("lower")


def answered(confidence, right, id="x"):
    return ("Yes" if right else "no"), Example(id, "", "yes", ("yes",), {"confidence": confidence})


def error_of(pairs):
    texts, examples = zip(*pairs, strict=True)
    return ECE.corpus(total(ECE.statistics(texts, examples)))


def by_definition(answers):
    """Guo et al. 2017, equation 3, with its bins closed on the left."""
    error = 0.0
    for k in range(BINS):
        held = [(c, r) for c, r in answers if k / BINS <= c < (k + 1) / BINS or (c == 1 and k == BINS - 1)]
        if held:
            sure, right = np.mean([c for c, _ in held]), np.mean([r for _, r in held])
            error += len(held) / len(answers) * abs(sure - right)
    return 100 * error


@given(st.lists(st.tuples(st.integers(0, 1000).map(lambda n: n / 1000), st.booleans()), min_size=1, max_size=40))
def test_it_is_what_its_definition_says(answers):
    assert error_of([answered(*each) for each in answers]) == pytest.approx(by_definition(answers), abs=1e-9)


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_the_worst():
    assert error_of([answered(1.0, True)] * 3) == 0
    assert error_of([answered(1.0, False)] * 3) == 100


def test_three_quarters_that_are_right_three_times_in_four_are_calibrated():
    assert error_of([answered(0.75, True)] * 3 + [answered(0.75, False)]) == pytest.approx(0)


def test_it_is_left_out_where_an_answer_has_no_probability():
    text, example = answered(0.5, True)
    assert ECE.statistics([text], [dataclasses.replace(example, details={})]) is None
