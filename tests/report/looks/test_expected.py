"""Files of a run that hold something else than they should: a note in the report, and everything else is shown."""

import json

import pytest
from report_samples import make_workdir

from ipt_jax.report import render
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, read_rows, write_json, write_rows
from ipt_jax.workdir.run_folder import run_folders


@pytest.fixture
def workdir(tmp_path):
    return make_workdir(tmp_path, examples=4, methods=((0, 0, None, 0, 0.1), (4, 1, "dense", 0, 0.6)))


def tuned(workdir):
    return next(folder for folder in run_folders(workdir) if folder.metrics.exists())


@pytest.mark.parametrize(
    "change, told",
    [
        ({"score": "12.5"}, "'score' should be a number"),
        ({"score": 1e308}, "'score' should be a number"),
        ({"run": ["x"]}, "'run' should be a text"),
        ({"training": "x"}, "'training' should be an object"),
        ({"training": {"learning_rate": {"a": 1}}}, "'training.learning_rate' should be a number"),
        ({"training": {"nearest_words": [{"word": "x"}]}}, "'training.nearest_words.0.cosine' should be there"),
        ({"prompt_source": "x"}, "'prompt_source' should be an object"),
        ({"scores": []}, "'scores' should be an object"),
        ({"scores": {"signatures": {"bleu": 1}}}, "'scores.signatures.bleu' should be a text"),
        ({"metrics": {"bleu": "BLEU"}}, "'metrics.bleu' should be an object"),
        ({"seconds": {"train": "x"}}, "'seconds.train' should be a number"),
        ({"overlap": {"same_input": 1, "near_duplicate": 0, "examples": 0}}, "'overlap.examples' should be a whole"),
        ({"examples": -1}, "'examples' should be a whole number from 0"),
        ({"seed": True}, "'seed' should be a whole number"),
    ],
)
def test_a_result_that_is_none_is_not_shown_and_told(workdir, change, told):
    folder = tuned(workdir)
    write_json(folder.result, {**read_json(folder.result), **change})
    found = collect([workdir])
    assert any("a result is not shown" in note and told in note for note in found.notes), found.notes
    assert [method.label for setting in found.settings for method in setting.methods][:1] == ["zero-shot"]


@pytest.mark.parametrize(
    "name, change, told",
    [
        ("predictions", {"id": None}, "predictions.jsonl:1: 'id' should be there with a text"),
        ("predictions", {"id": ["x"]}, "predictions.jsonl:1: 'id' should be a text"),
        ("predictions", {"input": None}, "predictions.jsonl:1: 'input' should be there with a text"),
        ("predictions", {"prediction": 3.5}, "predictions.jsonl:1: 'prediction' should be a text"),
        ("predictions", {"references": [1]}, "predictions.jsonl:1: 'references.0' should be a text"),
        ("predictions", {"score": "x"}, "predictions.jsonl:1: 'score' should be a number"),
        ("predictions", {"demonstrations": ["x"]}, "predictions.jsonl:1: 'demonstrations.0' should be an object"),
        ("metrics", {"step": None}, "metrics.jsonl:1: 'step' should be there with a whole number from 0"),
        ("metrics", {"loss": {}}, "metrics.jsonl:1: 'loss' should be a number"),
    ],
)
def test_rows_that_are_none_are_told_and_the_score_is_shown(workdir, name, change, told):
    path = getattr(tuned(workdir), name)
    first, *others = read_rows(path)
    write_rows(path, [{**first, **change}, *others])
    found = collect([workdir])
    assert any(told in note for note in found.notes), found.notes
    assert sum(len(setting.methods) for setting in found.settings) == 2


def test_a_run_whose_settings_are_none_is_shown_without_them(workdir):
    folder = tuned(workdir)
    folder.run_json.write_text(json.dumps({"layout": {"template": {"query": 3}}, "seed": 0}))
    found = collect([workdir])
    assert any("run.json: 'layout.template.query' should be a text" in note for note in found.notes)
    render([workdir])
