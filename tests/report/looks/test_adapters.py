"""Kinds of adapter beside one another: what each trains, keeps and costs."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.report.looks.adapters import by_adapter
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import run_folders


@pytest.fixture
def workdir(tmp_path):
    """PT, and IPT whose adapter is called a LoRA, both with what a result says of them."""
    made = make_workdir(tmp_path, examples=3, methods=[METHODS[0], METHODS[4], METHODS[6]])
    for folder in run_folders(made):
        result = read_json(folder.result)
        if result["training"]:
            lora = result["demonstrations"] > 0
            trained = {**result["training"], "numbers": 1000 * (1 + lora), "bytes": 4000 * (1 + lora)}
            more = {"training": trained, "arithmetic": {"train": 2.5e15, "evaluate": 3.25e12}}
            write_json(folder.result, {**result, **more, "adapter": "lora" if lora else "prompt"})
    return made


def test_each_trained_method_has_its_numbers_bytes_and_arithmetic(workdir):
    (setting,) = collect([workdir]).settings
    table = by_adapter(setting)
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [row["Trained numbers"] for row in rows] == ["1,000", "2,000"]
    assert [row["Bytes kept"] for row in rows] == ["4,000", "8,000"]
    assert {(row["Train, TFLOP"], row["Evaluate, TFLOP"]) for row in rows} == {("2.5e+03", "3.25")}


def test_runs_that_train_one_kind_alone_have_no_such_table(setting):
    assert by_adapter(setting) is None


def test_what_a_run_does_not_say_is_a_dash(workdir):
    for folder in run_folders(workdir):
        result = read_json(folder.result)
        training = {k: v for k, v in (result["training"] or {}).items() if k not in ("numbers", "bytes")}
        write_json(folder.result, {**result, "training": training or None, "arithmetic": None, "seconds": None})
    (setting,) = collect([workdir]).settings
    table = by_adapter(setting)
    assert {cell for row in table.rows for cell in row[2:7]} == {"–"}
