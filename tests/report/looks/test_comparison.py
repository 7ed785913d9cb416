"""A method against another: what a verdict needs, and how it is written."""

import dataclasses

import pytest

from ipt_jax.report.looks.comparison import (
    CONTRADICTED,
    OPEN,
    SUPPORTED,
    Comparison,
    compare,
    compared_cells,
    compared_header,
    judge,
    overall,
    p_text,
    signed,
    verdict,
)
from ipt_jax.report.reading.methods import Method
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import paired_bootstrap, spread


def method(label, scores, shift=0.0):
    """One run of examples with these scores."""
    rows = [{"id": f"x{i}", "score": score, "prediction": "a"} for i, score in enumerate(scores)]
    result = {"run": label, "method": label, "metric": "m", "score": sum(scores) / len(scores) + shift, "seed": 0}
    return Method(label, (Run(result, {}, (), rows),))


LOW, HIGH = [float(i % 7) for i in range(60)], [float(i % 7) + 3 + i % 2 for i in range(60)]


def test_a_method_that_is_better_on_every_example_is_supported_and_the_other_way_round_contradicted():
    high, low = method("a", HIGH), method("b", LOW)
    better, worse = judge([compare(high, low)]), judge([compare(low, high)])
    assert (better[0].verdict, worse[0].verdict) == (SUPPORTED, CONTRADICTED)


def test_a_method_against_itself_is_open():
    (judged,) = judge([compare(method("a", LOW), method("b", LOW))])
    assert judged.verdict == OPEN


def test_the_score_of_the_split_must_be_on_the_same_side():
    """BLEU of a corpus may fall where the mean of its sentences rises."""
    found = compare(method("a", HIGH, shift=-50.0), method("b", LOW))
    assert found.examples.low > 0 > found.difference
    assert verdict(found, 0.0) == OPEN


def test_methods_with_fewer_than_two_examples_in_common_are_not_tested():
    other = method("b", LOW)
    rows = [{**row, "id": f"y{i}"} for i, row in enumerate(other.runs[0].predictions)]
    apart = Method("b", (dataclasses.replace(other.runs[0], predictions=rows),))
    found = compare(method("a", HIGH), apart)
    assert (found.examples, found.p_value) == (None, None)
    (judged,) = judge([found])
    assert (judged.verdict, judged.p_value, compared_cells(judged)[2:]) == (OPEN, None, ["–"] * 5)


def test_p_values_that_are_made_together_are_corrected_for_their_number():
    examples = paired_bootstrap(HIGH, LOW)
    one = Comparison(spread([5.0]), spread([4.0]), examples, 0.02)
    assert judge([one])[0].verdict == SUPPORTED
    assert [each.verdict for each in judge([one] * 3)] == [OPEN] * 3
    assert judge([one] * 3)[0].p_value == pytest.approx(0.06)


def test_the_larger_p_value_of_both_sources_of_chance_counts():
    """Over the examples a difference may be sure that three seeds leave open."""
    seeds = [method("a", [s + 2 * shift for s in HIGH], 2 * shift).runs[0] for shift in (-3, 0, 3)]
    seeds = tuple(
        dataclasses.replace(run, result={**run.result, "run": str(i), "seed": i}) for i, run in enumerate(seeds)
    )
    found = compare(Method("a", seeds), method("b", LOW))
    assert found.effect is None or found.p_value >= found.effect.p_value


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([SUPPORTED, OPEN], SUPPORTED),
        ([CONTRADICTED], CONTRADICTED),
        ([SUPPORTED, CONTRADICTED], OPEN),
        ([OPEN, OPEN], OPEN),
        ([], OPEN),
    ],
)
def test_a_claim_needs_a_place_that_supports_it_and_none_that_contradicts_it(verdicts, expected):
    assert overall(verdicts) == expected


def test_cells_stand_below_their_headings_and_name_the_number_of_examples():
    (judged,) = judge([compare(method("a", HIGH), method("b", LOW))])
    cells = dict(zip(compared_header("A", "B"), compared_cells(judged), strict=True))
    assert cells["Examples"] == "60"
    assert cells["Per example"].startswith("+3.5, +")


def test_numbers_are_written_with_a_true_minus_and_small_p_values_as_a_bound():
    assert (signed(-0.3), signed(1.5), signed(-0.345, 2)) == ("−0.3", "+1.5", "−0.34")
    assert (p_text(None), p_text(0.0004), p_text(0.0005), p_text(0.0121)) == ("–", "< 0.001", "0.001", "0.012")
