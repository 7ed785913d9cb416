"""Curves of training: smoothed, and each step once."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.report.looks.curves import curve, smooth, training_curves
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.runs import Run


def test_a_smoothed_constant_is_the_constant_and_a_step_is_followed_by_half_at_the_half_life():
    assert smooth([3.0] * 4) == pytest.approx([3.0] * 4)
    assert smooth([0.0] * 1_000 + [1.0] * 5)[-1] == pytest.approx(0.5)


def test_a_step_that_was_logged_twice_counts_as_it_was_logged_last():
    rows = [{"step": 0, "loss": 3.0}, {"step": 1, "loss": 2.0}, {"step": 1, "dev_loss": 9.0}, {"step": 1, "loss": 1.0}]
    assert curve(Run({}, metrics=rows), "loss") == ([0, 1], [3.0, 1.0])


def test_runs_that_trained_nothing_have_no_curves(tmp_path):
    (setting,) = collect([make_workdir(tmp_path, examples=3, methods=METHODS[:4])]).settings
    assert training_curves(setting) == []
