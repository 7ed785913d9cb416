"""The plan of an experiment: what is left to do, what it takes, and on which devices; no weights are needed for it."""

import json
import re

import pytest
from forecasts import forecasts_of
from small_config import config_for

from ipt_jax.cost.hardware import PUBLISHED
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan import plan
from ipt_jax.workdir.json_files import write_json
from ipt_jax.workdir.run_folder import RunFolder


@pytest.fixture(scope="module")
def text(planned_lm, cache, tmp_path_factory):
    return plan.describe(config_for(planned_lm, cache), tmp_path_factory.mktemp("empty") / "new")


def test_a_plan_has_a_line_for_every_population_and_reads_no_weights(text):
    assert "small: 8 runs, 0 of them finished" in text and "8 to do in 6 populations" in text
    lines = {re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line) for line in text.splitlines()}
    assert lines["PT"][1:5] == ["3", "2", "sample test", "10"] and lines["PT"][9] == "12 of 4"
    assert lines["zero-shot"][1:5] == ["0", "1", "sample test", "10"] and lines["zero-shot"][9:11] == ["–", "0.00"]


def test_a_plan_has_hours_on_known_devices_and_on_this_one(text):
    for device in PUBLISHED:
        assert re.search(rf"{device.name} .* yes .* {device.source}$", text, re.MULTILINE)
    assert re.search(r"^this machine .* measured$", text, re.MULTILINE)
    assert "These are estimates" in text and "30% of which are assumed" in text


def test_a_plan_for_programs_has_the_same_populations_and_is_json(planned_lm, cache, tmp_path):
    data = json.loads(json.dumps(plan.as_data(config_for(planned_lm, cache), tmp_path / "new")))
    assert (data["runs"], data["finished"], len(data["populations"])) == (8, 0, 6)
    by_method = {each["methods"][0]: each for each in data["populations"]}
    assert len(by_method["PT"]["runs"]) == by_method["PT"]["untrained"] == 2 and by_method["PT"]["flop"]["train"] > 0
    assert by_method["zero-shot"]["flop"]["train"] == 0 and set(by_method["PT"]["seconds"]) == {
        d.name for d in PUBLISHED
    }


def test_planning_writes_nothing_into_the_work_folder(planned_lm, cache, tmp_path):
    plan.describe(config_for(planned_lm, cache, "pt"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_finished_is_not_counted_and_a_prompt_that_is_there_is_not_trained(planned_lm, cache, tmp_path):
    config = config_for(planned_lm, cache, "pt")
    before = forecasts_of(config, tmp_path)["pt"]
    first, second = resolve(config)
    RunFolder(tmp_path, first.id).path.mkdir(parents=True)
    RunFolder(tmp_path, first.id).prompt.write_bytes(b"")
    begun = forecasts_of(config, tmp_path)["pt"]
    assert (begun.untrained, len(begun.runs)) == (1, 2) and begun.prefill == before.prefill
    assert begun.train == pytest.approx(before.train / 2, rel=0.05)  # seeds draw other rows
    write_json(RunFolder(tmp_path, first.id).result, {"run": first.id})
    assert "2 runs, 1 of them finished" in plan.describe(config, tmp_path)
    RunFolder(tmp_path, second.id).path.mkdir(parents=True)
    write_json(RunFolder(tmp_path, second.id).result, {"run": second.id})
    assert plan.describe(config, tmp_path).endswith("nothing to do")


def test_a_run_that_takes_the_prompt_of_another_is_planned_and_trains_nothing(planned_lm, cache, tmp_path):
    config = config_for(planned_lm, cache, "pt")
    config.runs.transfer = {
        "layout": {"prompt_tokens": 3, "demonstrations": 1},
        "prompt": {"initialisation": "file", "source": "run:pt"},
        "training": {"steps": 0},
        "seed": (0, 1),
    }
    planned = forecasts_of(config, tmp_path)
    assert planned["transfer"].train == 0.0 < planned["transfer"].decode and planned["pt"].train > 0
    assert "transfer of PT, retrieved one-shot" in plan.describe(config, tmp_path)
