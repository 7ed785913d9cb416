"""docs/own_parts.md, done as it stands there: parts in a folder of one's own, which the package never heard of."""

import json
import os
import re
import subprocess
import sys

import pytest
from paths import ROOT
from tiny import write_hf_folder

PAGE = (ROOT / "docs" / "own_parts.md").read_text(encoding="utf-8")
BLOCKS = dict(
    zip(re.findall(r"`(\w+\.py)`", PAGE), re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S), strict=True)
)
ROWS = {"train": 6, "dev": 2, "test": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for name, text in BLOCKS.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "data").mkdir()
    for split, count in ROWS.items():
        rows = [f"{'flour ' * (count - i)}{split} {i}\tMix {i}." for i in range(count)]
        (folder / "data" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    write_hf_folder(folder / "lm")
    return folder


def run(folder, *flags, workdir="runs"):
    (command,) = re.findall(r"^```sh\n(.*)\n```$", PAGE, re.M)
    arguments = command.replace("--workdir=runs", f"--workdir={workdir}").split()[1:]
    more = ["--config.model.source=lm", "--config.execution.cache_dir=cache", "--config.decoding.max_new_tokens=2"]
    return subprocess.run(
        [sys.executable, *arguments, *more, *flags],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def results(folder, workdir="runs"):
    lines = (folder / workdir / "results.jsonl").read_text().splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def described(folder, run, workdir="runs"):
    return json.loads((folder / workdir / "runs" / run / "run.json").read_text())


def test_an_experiment_of_own_parts_runs_and_other_code_is_another_run(folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    first = results(folder)
    assert {row["metric"] for row in first.values()} == {"first_word"} and {row["task"] for row in first.values()} == {
        "recipes"
    }
    assert set(described(folder, first["icl"]["run"])["code"]) == {"task.name", "layout.retriever"}
    assert set(described(folder, first["pt"]["run"])["code"]) == {"task.name", "prompt.initialisation"}
    predictions = folder / "runs" / "runs" / first["icl"]["run"] / "predictions.jsonl"
    shown = [row["demonstrations"][0]["id"] for row in map(json.loads, predictions.read_text().splitlines())]
    assert shown == ["train:5"] * ROWS["test"]  # the shortest of all

    module = folder / "mine.py"
    module.write_text(module.read_text() + "\n# A word more.\n")
    done = run(folder, workdir="changed")
    assert done.returncode == 0, done.stderr
    assert {row["run"] for row in results(folder, "changed").values()}.isdisjoint(row["run"] for row in first.values())


def test_neighbours_of_ones_own_are_shown_and_their_file_is_a_part_of_the_run(folder):
    (row,) = re.findall(r"^```json\n(.*)\n```$", PAGE, re.M)
    rows = [{**json.loads(row), "id": f"test:{i}"} for i in range(ROWS["test"])]
    (folder / "found.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(folder, "--config.layout.retriever=found.jsonl", workdir="given")
    assert done.returncode == 0, done.stderr
    own = results(folder, "given")["icl"]["run"]
    assert set(described(folder, own, "given")["code"]) == {"task.name", "layout.retriever"}
    (first, *_) = (folder / "given" / "runs" / own / "predictions.jsonl").read_text().splitlines()
    assert json.loads(first)["demonstrations"] == [{"id": "train:1", "similarity": pytest.approx(0.8)}]


@pytest.mark.parametrize("flag", ["--config.layout.retriever=mine:Nothing", "--config.task.name=mine:Nothing"])
def test_an_object_that_is_not_there_is_told_before_anything_runs(folder, flag):
    done = run(folder, flag, workdir="nothing")
    assert done.returncode == 2 and "mine:Nothing' cannot be imported: module 'mine' has no attribute" in done.stderr
