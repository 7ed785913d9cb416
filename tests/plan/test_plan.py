"""The plan of an experiment: what is left to do, what it takes, and on which devices; no weights are needed for it."""

import dataclasses
import json
import re

import pytest
from small_config import config_for
from tiny import write_hf_folder

from ipt_jax.cost.arithmetic import block_flop
from ipt_jax.cost.hardware import PUBLISHED
from ipt_jax.cost.spread import Split
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan import forecast, plan
from ipt_jax.workdir.json_files import write_json
from ipt_jax.workdir.run_folder import RunFolder


@pytest.fixture(scope="module")
def lm_folder(tmp_path_factory):
    folder = write_hf_folder(tmp_path_factory.mktemp("lm"), "gpt2", n_positions=1024)
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def forecasts_of(config, workdir, sample=forecast.SAMPLE):
    preparer_of = plan.preparers(config)
    return {
        group[0].name: forecast.forecast(preparer_of(group[0].settings), group, workdir, sample)
        for group in populations(resolve(config))
    }


@pytest.fixture(scope="module")
def text(lm_folder, cache, tmp_path_factory):
    return plan.describe(config_for(lm_folder, cache), tmp_path_factory.mktemp("empty") / "new")


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


def test_a_plan_for_programs_has_the_same_populations_and_is_json(lm_folder, cache, tmp_path):
    data = json.loads(json.dumps(plan.as_data(config_for(lm_folder, cache), tmp_path / "new")))
    assert (data["runs"], data["finished"], len(data["populations"])) == (8, 0, 6)
    by_method = {each["methods"][0]: each for each in data["populations"]}
    assert len(by_method["PT"]["runs"]) == by_method["PT"]["untrained"] == 2 and by_method["PT"]["flop"]["train"] > 0
    assert by_method["zero-shot"]["flop"]["train"] == 0 and set(by_method["PT"]["seconds"]) == {
        d.name for d in PUBLISHED
    }


def test_planning_writes_nothing_into_the_work_folder(lm_folder, cache, tmp_path):
    plan.describe(config_for(lm_folder, cache, "pt"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_finished_is_not_counted_and_a_prompt_that_is_there_is_not_trained(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "pt")
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


def test_a_run_that_takes_the_prompt_of_another_is_planned_and_trains_nothing(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "pt")
    config.runs.transfer = {
        "layout": {"prompt_tokens": 3, "demonstrations": 1},
        "prompt": {"initialisation": "file", "source": "run:pt"},
        "training": {"steps": 0},
        "seed": (0, 1),
    }
    planned = forecasts_of(config, tmp_path)
    assert planned["transfer"].train == 0.0 < planned["transfer"].decode and planned["pt"].train > 0
    assert "transfer of PT, retrieved one-shot" in plan.describe(config, tmp_path)


def test_a_sample_of_a_split_stands_for_all_of_it(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "pt")
    config.limit.train, config.limit.test = 0, 0  # 2,000 and 100
    config.training.steps = 256  # four whole groups of batches: a few of them may be long or short ones
    whole = forecasts_of(config, tmp_path)["pt"]
    sampled = forecasts_of(config, tmp_path, sample=40)["pt"]
    assert len(sampled.rows) == 40 and sampled.examples == whole.examples == 100
    for each in ("train", "prefill", "decode"):
        assert getattr(sampled, each) == pytest.approx(getattr(whole, each), rel=0.15)


def test_members_of_a_population_share_the_steps_of_training_and_decoding(lm_folder, cache, tmp_path):
    planned = forecasts_of(config_for(lm_folder, cache, "pt"), tmp_path)["pt"]
    alone = dataclasses.replace(
        planned, runs=planned.runs[:1], train=planned.train / 2, prefill=planned.prefill / 2, decode=planned.decode / 2
    )
    # So little arithmetic that only the number of steps counts: two prompts train in the steps of one.
    both, one = planned.seconds(Split(PUBLISHED[0])), alone.seconds(Split(PUBLISHED[0]))
    assert both[0] == one[0] and one[1] <= both[1] < 1.1 * one[1]


def test_a_model_that_does_not_fit_a_device_is_said_not_to_and_has_no_hours_there(lm_folder, cache, tmp_path):
    planned = forecasts_of(config_for(lm_folder, cache, "pt"), tmp_path)["pt"]
    small = dataclasses.replace(PUBLISHED[0], memory=1000.0)

    def least(device, **changes):
        return planned.bytes(Split(dataclasses.replace(device, **changes))).least

    assert planned.fits(Split(PUBLISHED[0])) and not planned.fits(Split(small))
    assert least(PUBLISHED[0], itemsize=4) > least(PUBLISHED[0]) > 2 * 2 * forecast.parameters(planned.lm)
    text = plan.hours([planned], 0.0, small)
    assert re.search(rf"not {re.escape(planned.lm.name)} +– +– +– +– ", text)


def test_embedding_runs_every_different_input_through_the_layers_once(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "icl_retrieved_one_shot")
    (run,) = resolve(config)
    preparer = plan.preparers(config)(run.settings)
    texts = set(preparer.split("train", 40)["input"])
    tokens = sum(len(preparer.lm.tokenizer.encode(text)) for text in texts)
    counted = forecast.embedding_flop(preparer, "train", 40)
    assert counted == pytest.approx(tokens * block_flop(preparer.lm.decoder.config))
