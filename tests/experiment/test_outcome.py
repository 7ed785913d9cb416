"""What a result says: everything that can change a score."""

import hashlib

import pytest
from small_config import config_for

import ipt_jax
from ipt_jax.workdir.json_files import read_rows


@pytest.fixture(scope="module")
def results(finished):
    return {row["method"]: row for row in read_rows(finished / "results.jsonl")}


def test_a_score_is_the_headlines_of_all_scores(results):
    for result in results.values():
        assert result["score"] == result["scores"][result["metric"]]
        assert set(result["metrics"]) <= set(result["scores"]) | {"sentence_bleu"}


def test_what_was_trained_is_said_and_nothing_where_nothing_was(results):
    assert results["zero-shot"]["training"] is None and results["zero-shot"]["adapter"] is None
    trained = results["PT"]["training"]
    assert (trained["steps"], trained["initialisation"], trained["examples"]) == (12, "sampled_vocabulary", 40)
    assert trained["bytes"] == 3 * 32 * 4


def test_arithmetic_grows_with_what_is_shown_and_trained(results):
    flop = {method: result["arithmetic"] for method, result in results.items()}
    assert flop["zero-shot"]["train"] == 0 < flop["PT"]["train"] < flop["IPT"]["train"]
    assert flop["zero-shot"]["evaluate"] < flop["ICL, retrieved one-shot"]["evaluate"]


def test_the_hash_of_the_config_begins_with_the_runs_id(results):
    for result in results.values():
        assert result["config_hash"].startswith(result["run"])


def test_versions_name_what_computes(results):
    assert {"python", "ipt_jax", "jax", "sacrebleu"} <= set(results["PT"]["versions"])


def test_a_prompt_of_another_run_is_told_with_that_run(finished, lm_folder, cache):
    config = config_for(lm_folder, cache, "pt")
    config.runs.pt.seed = (0,)
    config.runs.taken = {
        "layout": {"prompt_tokens": 3},
        "prompt": {"initialisation": "file", "source": "run:pt"},
        "training": {"steps": 0},
    }
    trained, taken = ipt_jax.run(config, finished)
    assert taken["prompt_source"] == {"run": trained["run"], "task": "sample", "method": "PT"}
    assert trained["prompt_source"] is None


def test_equal_runs_say_the_same_but_for_what_was_measured(finished, lm_folder, cache, tmp_path):
    (again,) = ipt_jax.run(config_for(lm_folder, cache, "zero_shot"), tmp_path)
    (before,) = (row for row in read_rows(finished / "results.jsonl") if row["method"] == "zero-shot")

    def lasting(result):
        kept = {key: value for key, value in result.items() if key not in ("seconds", "compilations")}
        return hashlib.sha256(repr(sorted(kept.items(), key=lambda pair: pair[0])).encode()).hexdigest()

    assert lasting(again) == lasting(before)
