"""Experiments over several tasks, from config to report: prompts on other tasks, and what experiments share."""

import json

import numpy as np
import pytest

from ipt_jax.adapters.files import load_prompt
from ipt_jax.configs.paper import table1, transfer
from ipt_jax.experiment import experiment
from ipt_jax.tasks import get_task
from ipt_jax.tasks.base import load_split
from ipt_jax.workdir.json_files import read_rows

SIZES = {"train": 24, "dev": 4, "test": 6}


@pytest.fixture(scope="module")
def made(lm_folder, cache, tmp_path_factory):
    """A tiny language model, and data: the sample, and the same the other way round as a task in JSON Lines."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "data" / "jsonl").mkdir(parents=True)
    for split, count in SIZES.items():
        rows = load_split(get_task("sample"), split, limit=count, cache_dir=cache)
        text = "".join(json.dumps({"id": r["id"], "input": r["target"], "target": r["input"]}) + "\n" for r in rows)
        (folder / "data" / "jsonl" / f"{split}.jsonl").write_text(text)
    (folder / "lm").symlink_to(lm_folder)
    return folder


def shrunk(config, folder):
    """A paper's experiment in the size of a test."""
    config.tasks, config.models, config.data_dir = "sample,jsonl", str(folder / "lm"), str(folder / "data")
    config.per_task.sample = {"task": {"data_dir": ""}}  # it is in the package
    config.limit.update(SIZES)
    config.execution.decode_batch_size, config.decoding.max_new_tokens = 4, 8  # the small experiment's programs
    config.training.update(steps=2, batch_size=4, eval_every=2, dev_examples=4, warmup_steps=1)
    config.prompt.hidden = 8
    for run in config.runs.values():
        if "layout" in run and "prompt_tokens" in run.layout:
            run.layout.prompt_tokens = 3
        if "seed" in run:
            run.seed = (0, 1)
    return config


@pytest.fixture(scope="module")
def finished(made):
    workdir = made / "work"
    experiment.run(shrunk(transfer.get_config(), made), workdir)
    return workdir


def test_every_prompt_is_tested_on_every_task_with_that_tasks_demonstrations(finished):
    rows = read_rows(finished / "results.jsonl")
    moved = [row for row in rows if row["prompt_source"]]
    assert {(row["prompt_source"]["task"], row["task"], row["seed"]) for row in moved} == {
        (source, target, seed) for source in ("sample", "jsonl") for target in ("sample", "jsonl") for seed in (0, 1)
    }
    assert all(row["demonstrations"] == 1 and row["training"] is None for row in moved)
    assert all(row["prompt_source"]["method"] == "PT" for row in moved)


def test_the_prompt_is_the_one_that_the_other_run_has_trained(finished, made, tmp_path):
    """The same rows from the other run's own file give the same answers."""
    rows = read_rows(finished / "results.jsonl")
    (moved,) = (
        row
        for row in rows
        if row["prompt_source"] and (row["prompt_source"]["task"], row["task"], row["seed"]) == ("jsonl", "sample", 1)
    )
    source = finished / "runs" / moved["prompt_source"]["run"]
    assert np.isfinite(load_prompt(source)).all()
    config = shrunk(transfer.get_config(), made)
    config.tasks = "sample"
    config.runs = {"other": config.runs.transfer}
    config.runs.other.prompt.source = str(source / "prompt.safetensors")
    config.runs.other.seed = (1,)
    experiment.run(config, tmp_path)
    (alone,) = read_rows(tmp_path / "results.jsonl")
    ours, theirs = (
        {row["id"]: row["prediction"] for row in read_rows(folder / "runs" / run["run"] / "predictions.jsonl")}
        for folder, run in ((finished, moved), (tmp_path, alone))
    )
    assert ours == theirs and len(ours) == SIZES["test"]


def test_another_experiment_in_the_folder_does_not_repeat_what_they_share(finished, made):
    before = {row["run"]: row for row in read_rows(finished / "results.jsonl")}
    config = shrunk(table1.get_config(), made)
    config.tasks = "jsonl"
    experiment.run(config, finished)
    after = {row["run"]: row for row in read_rows(finished / "results.jsonl")}
    assert before.items() <= after.items()
    of_task = [row["method"] for row in after.values() if row["task"] == "jsonl" and not row["prompt_source"]]
    assert sorted(of_task) == [
        "ICL, random one-shot",
        "ICL, retrieved one-shot",
        "ICL, retrieved three-shot",
        *["IPT"] * 2,
        *["PT"] * 2,
        "zero-shot",
    ]
    page = (finished / "report" / "index.html").read_text()
    assert "PT prompts on other tasks" in page and "Main table" in page
