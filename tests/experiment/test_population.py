"""Populations over several devices, in parts that fit, and as a search for the learning rate."""

import logging

import numpy as np
import prompts_on_devices
import pytest
from devices import answer_of
from ml_collections import FrozenConfigDict
from paths import HELPERS
from tolerances import TRAINING, within

from ipt_jax.adapters.files import prompt_metadata
from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment import population
from ipt_jax.experiment.expand import expand, populations
from ipt_jax.experiment.population import together
from ipt_jax.experiment.run import Run
from ipt_jax.rows.order import RULE
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import RunFolder


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    return answer_of(
        [str(HELPERS / "prompts_on_devices.py"), str(tmp_path_factory.mktemp("devices"))], 8, folder=HELPERS
    )


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["rows", "members"])
def test_eight_devices_train_eight_prompts_as_one_device_does_whatever_they_share_out(on_devices, axis):
    within(on_devices["errors"][axis], TRAINING)
    assert on_devices["apart"] > 100 * TRAINING.limit


@pytest.mark.slow
def test_a_checkpoint_of_one_device_goes_on_on_four(on_devices):
    assert on_devices["stopped_at"] in (3, 4)
    within(on_devices["errors"]["resumed"], TRAINING)


def test_each_run_whose_prompt_stands_still_is_warned_about_once_and_one_that_learns_is_not(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="ipt_jax"):
        prompts_on_devices.train(tmp_path / "learning", 1, "rows", members=2)
        assert caplog.messages == []
        prompts_on_devices.train(tmp_path / "still", 1, "rows", learning_rate=1e-12, members=2)
    assert len(caplog.messages) == 2
    assert all("after 8 steps the prompt has not moved" in message for message in caplog.messages)
    assert len({message.split(":")[0] for message in caplog.messages}) == 2


def runs_of(config):
    config.layout.prompt_tokens = 3
    return [Run(name, FrozenConfigDict(settings), "data") for name, settings in expand(config)]


def finish(workdir, run):
    folder = RunFolder(workdir, run.id)
    folder.path.mkdir(parents=True)
    folder.prompt.touch()


def test_a_population_is_trained_in_parts_and_one_that_was_begun_goes_first(tmp_path):
    config = common.get_config()
    config.runs = {"pt": {"seed": (0, 1, 2, 3, 4)}}
    runs = runs_of(config)
    assert together(tmp_path, runs, 2) == runs[:2]
    finish(tmp_path, runs[0])
    assert together(tmp_path, runs, 2) == runs[1:3]
    begun = tmp_path / "populations" / "x"
    begun.mkdir(parents=True)
    write_json(begun / "population.json", {"runs": [runs[0].id, runs[2].id, runs[4].id]})
    # All three, although one has its prompt and only two fit: its arithmetic is that of the three.
    assert together(tmp_path, runs, 2) == [runs[0], runs[2], runs[4]]
    for run in runs[1:]:
        finish(tmp_path, run)
    assert together(tmp_path, runs, 2) == []


def test_a_population_that_was_begun_under_the_former_order_ends_under_it(tmp_path, monkeypatch):
    """One whose record names no order was begun before there were two."""
    new = prompts_on_devices.train(tmp_path / "new", 1, "rows", members=2)
    monkeypatch.setattr(population, "RULE", 1)
    former = prompts_on_devices.train(tmp_path / "former", 1, "rows", members=2)
    assert np.abs(new - former).max() > 1e-4
    assert prompts_on_devices.train_until_four(tmp_path / "stopped", 1, "rows", members=2) in (3, 4)
    monkeypatch.undo()
    (record,) = tmp_path.glob("stopped/populations/*/population.json")
    write_json(record, {"runs": read_json(record)["runs"]})
    resumed = prompts_on_devices.train(tmp_path / "stopped", 1, "rows", members=2)
    assert resumed.tobytes() == former.tobytes()
    said = {prompt_metadata(path)["order"] for path in (tmp_path / "stopped").glob("runs/*/prompt.safetensors")}
    assert said == {"1"}


def test_a_population_of_an_order_that_nobody_knows_is_not_touched(tmp_path):
    assert population._begin(tmp_path / "x", ["a"]) == population._begin(tmp_path / "x", ["a"]) == RULE
    record = tmp_path / "x" / "population.json"
    write_json(record, {"runs": ["a"], "order": 99})
    with pytest.raises(InputError, match=r"population\.json: order=99 is a rule that this version .* does not know"):
        population._begin(tmp_path / "x", ["a"])
    assert read_json(record)["order"] == 99


def test_a_learning_rate_search_at_the_top_of_a_config_is_one_population():
    config = common.get_config()
    config.training.learning_rate = (1e-3, 3e-3, 1e-2)
    no_prompt = {"layout": {"prompt_tokens": 0}}
    config.runs = {"pt": {"seed": (0, 1)}, "fixed": {"training": {"learning_rate": 0.5}}, "zero_shot": no_prompt}
    runs = runs_of(config)
    assert [len(group) for group in populations(runs)] == [7, 1]
    rates = [(run.settings.seed, run.settings.training.learning_rate) for run in runs if run.steps]
    assert sorted(rates) == sorted([(s, r) for r in (1e-3, 3e-3, 1e-2) for s in (0, 1)] + [(0, 0.5)])


def test_a_search_of_one_rate_is_the_run_of_that_rate():
    config = common.get_config()
    config.training.learning_rate = (2e-3,)
    assert [run.id for run in runs_of(config)] == [run.id for run in runs_of(common.get_config())]


@pytest.mark.parametrize(
    ("leaf", "value", "message"),
    [
        ("learning_rate", (), r"config\.training\.learning_rate=\(\) has no value"),
        ("learning_rate", (1e-3, "fast"), r"config\.training\.learning_rate=\(0\.001, 'fast'\) must be like 0\.001"),
        ("learning_rate", "fast", r"config\.training\.learning_rate='fast' must be a finite number"),
        ("steps", "ten", r"config\.training\.steps='ten' must be a whole number"),
        ("optimizer", "lyon", r"config\.training\.optimizer='lyon' is unknown; did you mean 'lion'\?"),
        ("optimizer_options", {"b7": 1}, r"config\.training\..*: b7 is no option of it; there are: b1, b2, eps"),
        ("schedule", "wsd", r"config\.training\.schedule='wsd' is unknown; choose one of linear, cosine, constant"),
        ("accumulate", 3, r"config\.training\.accumulate=3 must divide training\.batch_size=8"),
        ("momentum", 1.0, r"config\.training\.momentum=1\.0 must be at least 0 and less than 1"),
    ],
)
def test_a_training_setting_that_cannot_be_says_what_and_where(leaf, value, message):
    config = common.get_config()
    config.training[leaf] = value
    with pytest.raises(InputError, match=message):
        runs_of(config)


def test_settings_that_are_newer_than_a_run_are_no_part_of_its_identity_where_they_are_usual():
    (run,) = runs_of(common.get_config())
    assert set(run.identity()["prompt"]) == {"initialisation", "text", "source", "reparameterisation", "hidden"}
    assert not {"optimizer", "schedule", "momentum", "accumulate"} & set(run.identity()["training"])
    config = common.get_config()
    config.training.optimizer = "adafactor"
    assert runs_of(config)[0].id != run.id and runs_of(config)[0].identity()["training"]["optimizer"] == "adafactor"
