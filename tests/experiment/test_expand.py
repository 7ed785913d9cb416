"""From a config to its runs: overrides, axes, ids that depend on content, populations, and errors that help."""

import importlib

import numpy as np
import pytest
from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict, config_flags

from ipt_jax.configs import common, dart, quickstart
from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import expand, populations
from ipt_jax.experiment.run import Run
from ipt_jax.tasks import TASKS
from ipt_jax.tasks.base import splits_of
from ipt_jax.tasks.dart import Dart


def runs_of(config, data_hash="data"):
    return [Run(name, FrozenConfigDict(settings), data_hash) for name, settings in expand(config)]


def with_runs(**runs):
    config = common.get_config()
    config.runs = ConfigDict(runs)
    return config


def test_the_quickstart_is_the_papers_methods_with_two_seeds_where_something_is_trained():
    runs = runs_of(quickstart.get_config())
    assert [run.method for run in runs].count("PT") == [run.method for run in runs].count("IPT") == 2
    assert {run.method for run in runs} == {
        "zero-shot",
        "ICL, random one-shot",
        "ICL, retrieved one-shot",
        "PT",
        "IPT",
    }
    assert sorted(len(group) for group in populations(runs)) == [1, 1, 1, 2, 2]
    assert runs_of(dart.get_config())[0].settings.task.name == "dart"


@pytest.mark.parametrize("name", ["dart", "logic2text", "mtop", "spider", "totto"])
def test_the_config_of_each_task_has_the_papers_methods_and_all_of_its_options(name):
    config = importlib.import_module(f"ipt_jax.configs.{name}").get_config()
    runs = runs_of(config)
    task = TASKS[name](None)
    assert len({run.method for run in runs}) == 6
    assert all(run.settings.task.name == name and run.settings.task.split in splits_of(task) for run in runs)
    assert config.task.options.to_dict() == task.options  # so that each can be set on the command line


def test_a_tuple_is_an_axis_and_axes_multiply():
    config = with_runs(
        pt={"layout": {"prompt_tokens": 5}, "seed": (0, 1, 2), "training": {"learning_rate": (0.1, 0.2)}}
    )
    runs = runs_of(config)
    assert len({run.id for run in runs}) == 6
    assert [len(group) for group in populations(runs)] == [6]


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("(1e-3, 3e-3)", [0.001, 0.003]),
        ("1e-3,3e-3", [0.001, 0.003]),
        ("(1, 3e-3)", [1.0, 0.003]),
        ("3e-3", [0.003]),
        ("1", [1.0]),
    ],
)
def test_the_command_line_takes_one_learning_rate_or_a_search_of_several(text, rates):
    config = config_of("--config.layout.prompt_tokens=3", f"--config.training.learning_rate={text}")
    found = [run.settings.training.learning_rate for run in runs_of(config)]
    assert found == rates and {type(rate) for rate in found} == {float}


@pytest.mark.parametrize("text", ["fast", "true", "[1e-3]", "(True, 1e-3)"])
def test_a_learning_rate_that_is_no_number_is_refused_on_the_command_line_too(text):
    config = config_of(f"--config.training.learning_rate={text}")
    with pytest.raises(InputError, match=r"config\.training\.learning_rate=.* must be"):
        runs_of(config)


def config_of(*overrides):
    """The common config with flags of the command line, as `ipt_jax.main` reads them."""
    line, values = ["main", *overrides], flags.FlagValues()
    config = config_flags.DEFINE_config_dict("config", common.get_config(), flag_values=values, sys_argv=line)
    values(line)
    return config.value


@pytest.fixture
def switchable(monkeypatch):
    """A task with options."""

    class Switchable(Dart):
        def __init__(self, data_dir, *, caption=True, order="given", threshold=0.5):
            super().__init__(data_dir)

    monkeypatch.setitem(TASKS, "switchable", Switchable)


def test_options_of_a_task_are_part_of_a_runs_identity_and_can_be_swept(switchable):
    config = with_runs(a={"task": {"name": "switchable", "options": {"caption": (True, False)}}}, b={})
    first, second, plain = runs_of(config)
    assert first.settings.task.options.to_dict() == {"caption": True, "order": "given", "threshold": 0.5}
    assert second.identity()["task"]["options"]["caption"] is False
    assert first.id != second.id
    assert len(populations([first, second])) == 2
    assert "options" not in plain.identity()["task"]  # a task without options keeps its ids


def test_an_option_given_as_its_default_is_the_same_run(switchable):
    config = common.get_config()
    config.task.name = "switchable"
    (default,) = runs_of(config)
    config.task.options = {"threshold": 0.5}
    (given,) = runs_of(config)
    assert given.id == default.id


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"captoin": True}, r"options\.captoin=True is not an option of task 'switchable'; did you mean 'caption'"),
        ({"zzz": 1}, "its options are: caption, order, threshold"),
        ({"caption": "no"}, r"options\.caption='no' should be of type bool, like its default True"),
    ],
)
def test_an_option_that_the_task_does_not_have_is_an_error(switchable, options, message):
    with pytest.raises(InputError, match=message):
        runs_of(with_runs(a={"task": {"name": "switchable", "options": options}}))
    with pytest.raises(InputError, match="task 'sample'; it has none"):
        runs_of(with_runs(a={"task": {"options": {"caption": True}}}))


def test_runs_that_differ_in_the_layout_are_no_population():
    runs = runs_of(with_runs(pt={"layout": {"prompt_tokens": (5, 6)}, "seed": (0, 1)}))
    assert [len(group) for group in populations(runs)] == [2, 2]


def test_without_runs_the_base_is_the_run():
    config = common.get_config()
    config.layout.prompt_tokens = 3
    assert [run.method for run in runs_of(config)] == ["PT"]


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"learning_rate": 9.0, "steps": 7}},
        {"prompt": {"hidden": 3}},
        {"layout": {"retriever": "random"}},
        {"layout": {"end_token": False}},
        {"seed": 5},
        {"limit": {"train": 10}},
        {"task": {"data_dir": "elsewhere"}},
    ],
)
def test_what_cannot_change_a_zero_shot_result_is_no_part_of_its_id(change):
    assert runs_of(with_runs(a={}))[0].id == runs_of(with_runs(b=change))[0].id


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"learning_rate": 9.0}},
        {"prompt": {"hidden": 3}},
        {"layout": {"template": {"separator": "#"}}},
        {"seed": 5},
        {"limit": {"train": 10}},
        {"decoding": {"stop": ("\n", "#")}},
        {"layout": {"end_token": False}},
    ],
)
def test_what_changes_a_trained_result_changes_its_id(change):
    base = {"layout": {"prompt_tokens": 4, "demonstrations": 1}}
    merged = {**base, **change, "layout": {**base["layout"], **change.get("layout", {})}}
    assert runs_of(with_runs(a=base))[0].id != runs_of(with_runs(a=merged))[0].id


def test_other_data_is_another_run():
    assert runs_of(with_runs(a={}), "one")[0].id != runs_of(with_runs(a={}), "two")[0].id


def test_a_random_demonstration_keeps_the_seed_and_runs_of_one_id_are_listed_once():
    config = with_runs(a={"layout": {"demonstrations": 1, "retriever": "random"}, "seed": (0, 1)}, b={"seed": (0, 1)})
    assert len(runs_of(config)) == 3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"layuot": {}}, r"config\.runs\.a\.layuot is not a setting; did you mean 'layout'\?"),
        ({"layout": {"promt_tokens": 3}}, r"layout\.promt_tokens is not a setting; did you mean 'prompt_tokens'\?"),
        ({"layout": 3}, "must be a section with: chat, demonstrations"),
        ({"training": {"steps": "ten"}}, r"config\.runs\.a\.training\.steps='ten' must be like 1000: int"),
        ({"seed": (0, True)}, r"config\.runs\.a\.seed=\(0, True\) must be like 0: int"),
        ({"layout": {"prompt_tokens": -1}}, r"run 'a': config\.layout\.prompt_tokens=-1 must be at least 0"),
        (
            {"layout": {"end_token": False}, "decoding": {"stop": ("END",)}},
            r"config\.layout\.end_token=False needs a .*target that ends with a stop text: .* none of \('END'",
        ),
        ({"layout": {"retriever": "bm52"}}, r"config\.layout\.retriever='bm52' is unknown; did you mean 'bm25'"),
        ({"training": {"learning_rate": 0.0}}, r"training\.learning_rate=0\.0 must be positive"),
        ({"prompt": {"initialisation": "file"}}, r"prompt\.source='' must be given"),
        ({"prompt": {"source": "x"}}, r"prompt\.source='x' must be given with initialisation='file', and only then"),
        ({"task": {"split": "tset"}}, r"task\.split='tset' is unknown; choose one of train, dev, test"),
    ],
)
def test_a_setting_that_cannot_be_says_what_and_where(overrides, message):
    with pytest.raises(InputError, match=message):
        expand(with_runs(a=overrides))


def test_a_run_from_before_stop_texts_were_held_back_keeps_its_id():
    settings = dict(runs_of(with_runs(zero_shot={"decoding": {"hold_stop_texts": False}}))[0].identity())
    assert "hold_stop_texts" not in settings["decoding"]
    held = runs_of(with_runs(zero_shot={}))[0].identity()
    assert held["decoding"].pop("hold_stop_texts") is True
    assert held == settings


def test_whether_stop_texts_are_held_back_is_no_matter_where_there_are_none():
    runs = runs_of(with_runs(a={"decoding": {"stop": (), "hold_stop_texts": (False, True)}}))
    assert len(runs) == 1 and not runs[0].settings.decoding.hold_stop_texts


@pytest.mark.parametrize(
    ("leaf", "value", "message"),
    [
        ("tasks", None, r"config\.tasks=None must be a text"),
        ("models", 3, r"config\.models=3 must be a text"),
        ("runs", {"a": None}, r"config\.runs\.a=None must be a section"),
        ("training.weight_decay", float("nan"), r"config\.training\.weight_decay=nan must be a finite number"),
        ("training.learning_rate", (0.1, 10**400), r"config\.training\.learning_rate=10+.* must be a finite number"),
        ("training.learning_rate", (), r"config\.training\.learning_rate=\(\) has no value"),
        ("runs", {"a": {"task": {"options": {"a": {"b": 1}}}}}, "is not an option of task 'sample'"),
        ("task.options", None, r"config\.task\.options=None must be a section"),
    ],
)
def test_a_value_of_a_config_file_that_cannot_be_is_told_with_its_place(leaf, value, message):
    config = common.get_config()
    config.layout.prompt_tokens = 3
    *sections, name = leaf.split(".")
    section = config
    for each in sections:
        section = section[each]
    with section.ignore_type():
        section[name] = value
    with pytest.raises(InputError, match=message):
        runs_of(config)


def test_a_number_of_numpy_is_the_number():
    config, same = common.get_config(), common.get_config()
    for each in (config, same):
        each.layout.prompt_tokens = 3
    config.training.steps, config.training.learning_rate = np.int64(7), (np.float64(0.5), 0.25)
    same.training.steps, same.training.learning_rate = 7, (0.5, 0.25)
    assert [run.id for run in runs_of(config)] == [run.id for run in runs_of(same)]
