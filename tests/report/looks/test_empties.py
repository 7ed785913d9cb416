"""Empty answers are counted, and said before any method is called better."""

from dataclasses import replace

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.experiment import evaluation
from ipt_jax.report import render, terminal_table
from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.looks.cost import conditions
from ipt_jax.report.looks.empties import cautions, many_empty
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.workdir.json_files import append_rows, read_json, read_rows, write_json
from ipt_jax.workdir.run_folder import run_folders


def made(*empty, answers=100, **recorded):
    runs = []
    for count in empty:
        rows = [{"id": str(i), "prediction": " \n" if i < count else "a"} for i in range(answers)]
        result = {"run": "x", "metric": "bleu", "score": 1.0, "examples": answers, **recorded}
        runs.append(Run(result, predictions=rows))
    return Method("zero-shot", tuple(runs))


def test_an_evaluation_counts_the_empty_predictions_of_a_member(tmp_path):
    append_rows(tmp_path / "predictions.jsonl", [{"id": str(i), "prediction": "a" * i} for i in range(3)])
    assert evaluation.empty(evaluation.Member(None, None, tmp_path / "predictions.jsonl")) == 1


def test_what_a_result_records_counts_and_older_runs_are_counted():
    assert made(92).empty == 92 and made(92, empty=7).empty == 7 and made(3, 4).empty == 7
    assert replace(made(1), runs=(Run({"run": "x"}, predictions=[{"id": "1", "score": 0.0}]),)).empty is None


@pytest.mark.parametrize(("empty", "many"), [(0, False), (4, False), (5, True), (100, True)])
def test_one_answer_in_twenty_is_many(empty, many):
    assert many_empty(made(empty)) is many


def test_the_sentence_has_the_count_over_all_seeds():
    assert cautions(Setting((made(92),))) == ["92 of 100 answers of zero-shot are empty."]
    assert cautions(Setting((made(92, 95),))) == ["187 of 200 answers of zero-shot are empty over 2 seeds."]
    assert cautions(Setting((made(1),))) == []


@pytest.fixture(scope="module")
def emptied(tmp_path_factory):
    """Three methods without an empty answer but the first, which has nothing else."""
    workdir = make_workdir(tmp_path_factory.mktemp("empty"), examples=20, methods=METHODS[:3])
    for folder in run_folders(workdir):
        rows, result = read_rows(folder.predictions), read_json(folder.result)
        first = not result["demonstrations"]
        for row in rows:
            row["prediction"] = "" if first else row["prediction"] or "a"
        folder.predictions.unlink()
        append_rows(folder.predictions, rows)
        write_json(folder.result, result | ({"empty": 20} if first else {}))
    return workdir


def test_the_table_marks_the_method_and_the_terminal_says_it_before_the_answer(emptied):
    (setting,) = collect([emptied]).settings
    assert [row[0] for row in setting_tables.table(setting).rows] == [
        "zero-shot †",
        "ICL, random one-shot",
        "ICL, retrieved one-shot",
    ]
    text = terminal_table(emptied)
    assert text.index("† 20 of 20 answers of zero-shot are empty.") < text.index("highest")
    assert r"zero-shot \dag{} &" in setting_tables.as_latex([setting])


def test_the_page_says_it_before_the_answer_and_before_the_findings(emptied, tmp_path):
    text = render([emptied], tmp_path).read_text()
    caution = '<p class="caution">20 of 20 answers of zero-shot are empty.</p>'
    assert text.count(caution) == 2 and text.index(caution) < text.index("highest")
    assert text.index("What the numbers say") < text.rindex(caution) < text.index('<ul class="findings">')


def test_every_run_has_its_count_in_the_table_of_conditions(emptied):
    table = conditions(collect([emptied]).settings[0])
    column = table.header.index("Empty answers")
    assert [row[column] for row in table.rows] == ["20", "0", "0"]
