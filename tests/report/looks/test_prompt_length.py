"""Scores and variances by prompt length."""

from dataclasses import replace

from ipt_jax.report.looks.prompt_length import prompt_lengths
from ipt_jax.report.reading.kinds import IPT, PT
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run


def method(kind, rows, *scores):
    shared = {"prompt_tokens": rows, "training": {"steps": 5}, "metric": "bleu"}
    shared |= {"demonstrations": int(kind == "IPT"), "retriever": "dense"}
    runs = [Run({"run": f"{kind}{rows}{i}", "seed": i, "score": score, **shared}) for i, score in enumerate(scores)]
    return Method(f"{kind} ({rows})", tuple(runs))


SETTING = Setting(
    (
        method("PT", 25, 40.0, 20.0, 60.0),
        method("PT", 5, 30.0, 31.0, 32.0),
        method("IPT", 25, 40.0, 41.0, 42.0),
        method("IPT", 50, 43.0),
    )
)


def test_lengths_rise_and_each_has_the_methods_that_were_run_with_it():
    found = prompt_lengths(SETTING)
    assert [length.rows for length in found] == [5, 25, 50]
    assert [set(length.scores) for length in found] == [{PT}, {PT, IPT}, {IPT}]
    assert found[1].scores[PT].mean == 40.0


def test_variances_are_compared_where_both_methods_have_three_seeds():
    five, twenty_five, fifty = prompt_lengths(SETTING)
    assert five.ratio is None and fifty.p_value is None
    assert twenty_five.ratio.value == 20.0 and twenty_five.ratio.low <= 20.0 <= twenty_five.ratio.high
    assert 0 < twenty_five.p_value < 1


def test_one_length_is_no_curve():
    assert prompt_lengths(replace(SETTING, methods=(SETTING.methods[0], SETTING.methods[2]))) == []
