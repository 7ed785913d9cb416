"""The table of methods, for the terminal and as files."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from ipt_jax.report import terminal_table
from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run


def test_the_terminal_table_names_both_bleu_conventions_and_aligns_its_columns(quickstart):
    text = terminal_table(quickstart)
    lines = text.splitlines()
    header = next(line for line in lines if line.startswith("Method"))
    rows = lines[lines.index(header) + 2 :][:6]
    assert "BLEU (UnifiedSKG)" in header and "BLEU (official)" in header
    assert "convention:unifiedskg|" in text and "convention:dart_official|" in text
    assert {len(line) for line in [header, *rows]} == {len(header)}
    assert all(row[line.index(".")] == "." for row in rows for line in rows)  # the means stand under one another


def test_the_table_shows_mean_and_deviation_of_the_results(setting):
    scores = [run.result["score"] for run in setting.methods[-1].runs]
    mean, deviation = np.mean(scores), np.std(scores, ddof=1)
    assert setting_tables.table(setting).rows[-1][:2] == ["IPT", f"{mean:.1f} ± {deviation:.1f}"]


def test_the_csv_holds_unrounded_numbers_for_every_metric(setting):
    rows = list(csv.DictReader(io.StringIO(setting_tables.as_csv([setting]))))
    assert len(rows) == 6 * 2
    ipt = next(row for row in rows if row["method"] == "IPT" and row["metric"] == "bleu_official")
    scores = [run.result["scores"]["bleu_official"] for run in setting.methods[-1].runs]
    assert float(ipt["mean"]) == np.mean(scores) and float(ipt["deviation"]) == pytest.approx(np.std(scores, ddof=1))


def test_text_that_means_something_to_latex_or_markdown_is_escaped():
    run = Run({"run": "a", "metric": "bleu_official", "score": 1.0})
    settings = [Setting((Method("50 % of a_b & {c} | <d> #1", (run,)),))]
    assert r"50 \% of a\_b \& \{c\} $|$ $<$d$>$ \#1" in setting_tables.as_latex(settings)
    assert r"50 % of a\_b & {c} \| \<d\> \#1".replace("{c}", r"\{c\}") in setting_tables.as_markdown(settings)


def test_a_result_whose_scores_are_not_listed_still_shows_its_score(setting):
    result = {**setting.runs[0].result, "scores": {}, "score": 12.34, "empty": 0}
    bare = replace(setting.runs[0], result=result)
    assert setting_tables.table(Setting((Method("zero-shot", (bare,)),))).rows == [
        ["zero-shot", "12.3", "–", "0", "0", "1"]
    ]
