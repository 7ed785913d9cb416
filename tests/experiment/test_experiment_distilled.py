"""Experiments whose adapters learn what demonstrations do: in-context learning distilled."""

import pytest
from small_config import config_for

import ipt_jax
from ipt_jax.adapters.files import load_prompt
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.kinds import PT
from ipt_jax.runtime import preemption
from ipt_jax.training import checkpoints
from ipt_jax.workdir.json_files import read_rows

LABEL = "PT, distilled from retrieved one-shot"


@pytest.fixture(scope="module")
def config(lm_folder, cache):
    config = config_for(lm_folder, cache, "pt", "icl_retrieved_one_shot")
    config.layout.retriever = "bm25"
    config.training.teacher_demonstrations, config.training.learning_rate = 1, 2e-2
    return config


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("distilled")
    return workdir, ipt_jax.run(config, workdir)


def test_the_divergence_from_the_teacher_falls(finished):
    workdir, results = finished
    for result in results:
        if result["method"] == LABEL:
            told = read_rows(workdir / "runs" / result["run"] / "metrics.jsonl")
            rows = [row["dev_loss"] for row in told if "dev_loss" in row]
            assert min(rows) == result["training"]["best_dev_loss"] < 0.9 * rows[0]
            assert rows[0] > 0


def test_a_method_says_by_what_it_was_taught_and_sees_nothing_of_it_in_the_test(finished):
    workdir, results = finished
    taught = [result for result in results if result["method"] == LABEL]
    assert len(taught) == 2 and all(result["demonstrations"] == 0 for result in taught)
    for row in read_rows(workdir / "runs" / taught[0]["run"] / "predictions.jsonl"):
        assert row["demonstrations"] == [] and row["input"].count("Input:") == 1


def test_the_report_keeps_it_apart_from_prompt_tuning(finished):
    workdir, _ = finished
    (setting,) = collect([workdir]).settings
    kinds = {method.label: method.kind for method in setting.methods}
    assert kinds[LABEL] != PT and kinds[LABEL].label == LABEL


def test_a_member_is_what_it_is_alone(config, finished, tmp_path):
    workdir, _ = finished
    alone = config.copy_and_resolve_references()
    alone.runs.pt.seed = (1,)
    own = next(result for result in ipt_jax.run(alone, tmp_path) if result["method"] == LABEL)
    both = [load_prompt(folder / "runs" / own["run"]) for folder in (workdir, tmp_path)]
    assert abs(both[0] - both[1]).max() < 1e-4


def test_training_that_stops_in_the_middle_goes_on_to_the_same_bits(config, finished, tmp_path, monkeypatch):
    workdir, _ = finished
    save = checkpoints.Checkpoints.save

    def die(self, step, state):
        save(self, step, state)
        if step == 8:
            raise preemption.Preempted(15)

    monkeypatch.setattr(checkpoints.Checkpoints, "save", die)
    with pytest.raises(preemption.Preempted):
        ipt_jax.run(config, tmp_path)
    monkeypatch.setattr(checkpoints.Checkpoints, "save", save)
    again = ipt_jax.run(config, tmp_path)
    for result in again:
        if result["method"] == LABEL:
            prompts = [load_prompt(folder / "runs" / result["run"]) for folder in (workdir, tmp_path)]
            assert (prompts[0] == prompts[1]).all()


def test_a_teacher_is_a_part_of_what_a_run_is_and_of_its_arithmetic(config, finished, lm_folder, cache, tmp_path):
    _, results = finished
    plain = config_for(lm_folder, cache, "pt")
    plain.runs.pt.seed, plain.layout.retriever, plain.training.learning_rate = (0,), "bm25", 2e-2
    (untaught,) = ipt_jax.run(plain, tmp_path)
    taught = next(result for result in results if result["method"] == LABEL and result["seed"] == 0)
    assert untaught["run"] != taught["run"]
    assert untaught["arithmetic"]["train"] < taught["arithmetic"]["train"]
    assert untaught["arithmetic"]["evaluate"] == pytest.approx(taught["arithmetic"]["evaluate"], rel=0.2)


def test_a_teacher_of_a_run_that_trains_nothing_is_no_part_of_it(config):
    icl = [run for run in resolve(config) if run.name == "icl_retrieved_one_shot"]
    assert icl[0].settings.training is None and icl[0].method == "ICL, retrieved one-shot"
    assert len(populations(resolve(config))) == 2
