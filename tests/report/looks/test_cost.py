"""Cost, overlap and conditions of runs in the report, of new and of older results."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.report.looks.cost import cost, facts, overlap
from ipt_jax.report.page.page import render
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import run_folders

SHARED = {"same_input": 24, "near_duplicate": 231, "examples": 5097}


@pytest.fixture
def old(tmp_path):
    """Zero-shot and PT, without arithmetic and overlap in their results."""
    return make_workdir(tmp_path, examples=3, methods=[METHODS[0], METHODS[4]])


def add(workdir, **more):
    for folder in run_folders(workdir):
        result = read_json(folder.result)
        trained = bool(result["training"])
        own = {"arithmetic": {"train": 2.5e15 * trained, "evaluate": 3.25e12}, "overlap": SHARED if trained else None}
        write_json(folder.result, result | own | more)


def test_each_run_has_its_arithmetic_and_its_device_and_the_last_row_has_the_sums(old):
    add(old)
    (setting,) = collect([old]).settings
    table = cost(setting)
    columns = {name: [row[i] for row in table.rows] for i, name in enumerate(table.header)}
    assert columns["Method"] == ["zero-shot", "PT", "All runs"]
    assert columns["Train, TFLOP"] == ["0.0", "2,500.0", "2,500.0"]
    assert columns["Evaluate, TFLOP"] == ["3.2", "3.2", "6.5"]
    assert columns["Device"] == ["cpu:0", "cpu:0", ""]
    seconds = [sum(run.result["seconds"].values()) for run in setting.all_runs]
    assert columns["Total, s"] == [f"{s:,.1f}" for s in (*seconds, sum(seconds))]


def test_a_sum_over_runs_that_do_not_all_know_their_arithmetic_is_a_lower_bound(old):
    add(old)
    folder = run_folders(old)[0]
    result = read_json(folder.result)
    del result["arithmetic"]
    write_json(folder.result, result)
    (setting,) = collect([old]).settings
    row = dict(zip(cost(setting).header, cost(setting).rows[-1], strict=True))
    assert row["Evaluate, TFLOP"] == "≥ 3.2"


def test_results_of_an_older_version_are_shown_without_what_they_lack(old):
    (setting,) = collect([old]).settings
    row = dict(zip(cost(setting).header, cost(setting).rows[-1], strict=True))
    assert row["Train, TFLOP"] == row["Evaluate, TFLOP"] == "–"
    assert "Overlap with training" not in dict(facts(setting))
    assert "Cost of each run" in render([old]).read_text()


def test_the_overlap_of_a_setting_is_a_sentence_for_each_training_budget(old):
    add(old)
    (setting,) = collect([old]).settings
    sentence = dict(facts(setting))["Overlap with training"]
    assert "24 of 5,097 examples (0.5%)" in sentence and "231 others (4.5%)" in sentence and ";" not in sentence
    fewer = {"overlap": SHARED | {"same_input": 0}, "limit": {"train": 3000}}
    both = overlap([{"overlap": SHARED, "limit": {"train": 0}}, fewer, fewer])
    assert both.count(";") == 1 and "one of the training examples" in both and "at most 3,000 training examples" in both
