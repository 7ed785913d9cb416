"""An experiment from Python."""

import pytest
from small_config import config_for

import ipt_jax
from ipt_jax.errors import InputError
from ipt_jax.workdir.json_files import read_json


def test_results_come_in_the_order_of_the_config_and_are_those_on_disk(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "icl_random_one_shot", "zero_shot")
    results = ipt_jax.run(config, tmp_path)
    assert [result["name"] for result in results] == list(config.runs)
    assert all(result == read_json(tmp_path / "runs" / result["run"] / "result.json") for result in results)


def test_the_folder_is_named_after_the_experiment_unless_it_is_given(lm_folder, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_for(lm_folder, cache, "zero_shot")
    (result,) = ipt_jax.run(config)
    assert (tmp_path / "runs" / "small" / "runs" / result["run"] / "result.json").exists()


def test_what_cannot_be_is_an_input_error(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "zero_shot")
    config.task.split = "tset"
    with pytest.raises(InputError, match="task.split='tset' is unknown"):
        ipt_jax.run(config, tmp_path)
