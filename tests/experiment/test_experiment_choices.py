"""An experiment whose answers are chosen among labels."""

import json

import pytest
from small_config import config_for

import ipt_jax
from ipt_jax.errors import InputError
from ipt_jax.workdir.json_files import read_rows

LABELS = ("up", "down", "away")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    for split, count in {"train": 24, "dev": 8, "test": 9}.items():
        rows = [{"input": f"the number {i}", "target": LABELS[i % 3], "choices": list(LABELS)} for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(data, lm_folder, cache, workdir, *only, **options):
    config = config_for(lm_folder, cache, *only)
    config.task.name, config.task.data_dir = "jsonl", str(data)
    config.task.options = {"metric": "accuracy", **options}
    config.layout.retriever, config.training.steps = "bm25", 4
    return {result["name"]: result for result in ipt_jax.run(config, workdir)}


@pytest.fixture(scope="module")
def finished(data, lm_folder, cache, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("chosen")
    return workdir, run(data, lm_folder, cache, workdir, "icl_retrieved_one_shot", "pt", choices="up|down|away")


def test_every_answer_is_a_label_with_the_score_of_each(finished):
    workdir, results = finished
    for result in results.values():
        for row in read_rows(workdir / "runs" / result["run"] / "predictions.jsonl"):
            assert row["prediction"] == max(row["choices"], key=row["choices"].get)
            assert set(row["choices"]) == set(LABELS)
            assert 1 / 3 <= row["confidence"] <= 1
            assert row["score"] == 100.0 * (row["prediction"] in row["references"])


def test_a_result_has_accuracy_macro_f1_and_calibration(finished):
    _, results = finished
    for result in results.values():
        assert (result["metric"], list(result["metrics"])) == ("accuracy", ["accuracy", "macro_f1", "ece"])
        assert 0 <= result["scores"]["ece"] <= 100
        assert result["arithmetic"]["evaluate"] > 0


def test_the_report_compares_them_as_it_does_all(finished):
    workdir, _ = finished
    page = (workdir / "report" / "index.html").read_text()
    assert "ECE" in page and "accuracy" in page


def test_choices_of_each_row_are_chosen_from_alike(finished, data, lm_folder, cache, tmp_path):
    workdir, results = finished
    own = run(data, lm_folder, cache, tmp_path, "icl_retrieved_one_shot", choices="row")
    files = [
        folder / "runs" / found["icl_retrieved_one_shot"]["run"] / "predictions.jsonl"
        for folder, found in ((workdir, results), (tmp_path, own))
    ]
    fixed, each = ({row["id"]: row["choices"] for row in read_rows(file)} for file in files)
    assert fixed.keys() == each.keys()
    for id in fixed:
        assert fixed[id] == pytest.approx(each[id])


def test_a_finished_run_chooses_for_other_inputs(finished, data):
    workdir, results = finished
    run = ipt_jax.load_run(workdir / "runs" / results["pt"]["run"])
    predicted = read_rows(workdir / "runs" / results["pt"]["run"] / "predictions.jsonl")
    texts = {f"test:{i}": json.loads(line)["input"] for i, line in enumerate((data / "test.jsonl").open())}
    answers = run.predict([texts[row["id"]] for row in predicted])
    assert [answer.text for answer in answers] == [row["prediction"] for row in predicted]


def test_other_inputs_have_no_choices_where_each_row_has_its_own(data, lm_folder, cache, tmp_path):
    result = run(data, lm_folder, cache, tmp_path, "zero_shot", choices="row")["zero_shot"]
    with pytest.raises(InputError, match="choices that each row of its task has for itself"):
        ipt_jax.load_run(tmp_path / "runs" / result["run"]).predict(["x"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choices": "up"}, r"choices='up' should be different labels with \| between them"),
        ({"choices": "up|up"}, "should be different labels"),
        ({"choices": "up|down", "metric": "bleu"}, "with metric 'bleu': what is chosen is a label"),
        ({"choices": "up|down"}, r"jsonl:3: the target 'away' is none of the choices up, down"),
    ],
)
def test_wrong_choices_are_input_errors(data, lm_folder, cache, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run(data, lm_folder, cache, tmp_path, "icl_retrieved_one_shot", **options)


def test_a_row_without_its_choices_is_named(data, lm_folder, cache, tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"input": "x", "target": "up"}\n')
    with pytest.raises(InputError, match=r"test\.jsonl:1: 'choices'=None should be a list of at least two texts"):
        run(tmp_path, lm_folder, cache, tmp_path / "work", "zero_shot", choices="row")
