"""The JSON Lines task: rows, ids, mistakes, and that it needs no code."""

import gzip
import json

import pytest
from commands import call

from ipt_jax.configs import jsonl
from ipt_jax.errors import InputError
from ipt_jax.tasks import get_task, resolve_options
from ipt_jax.tasks.base import Example
from ipt_jax.tasks.jsonl import JsonLines
from ipt_jax.tasks.scores import example_headline, headline


def write(folder, split, rows, packed=False):
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = folder / (f"{split}.jsonl" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(data) if packed else data)


def test_targets_and_references_stand_for_each_other(tmp_path):
    rows = [
        {"input": "a", "references": ["x", "y"]},
        {"input": "b", "target": "z"},
        {"input": "c", "target": "t", "references": ["x"], "id": "mine", "more": 3},
        {"input": "d", "target": "t", "id": 17},
    ]
    write(tmp_path, "dev", rows, packed=True)

    assert list(JsonLines(tmp_path).read("dev")) == [
        Example("dev:0", "a", "x", ("x", "y")),
        Example("dev:1", "b", "z", ("z",)),
        Example("mine", "c", "t", ("x",)),
        Example("17", "d", "t", ("t",)),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"target": "x"}, "'input'=None should be a text"),
        ({"input": 3, "target": "x"}, "'input'=3"),
        ({"input": "a"}, "neither 'references' nor 'target'"),
        ({"input": "a", "target": 3}, "'target'=3"),
        ({"input": "a", "references": []}, r"'references'=\[\] should be a list of at least one"),
        ({"input": "a", "references": "x"}, "'references'='x'"),
        ({"input": "a", "references": [None]}, r"'references'=\[None\]"),
        ({"input": "a", "target": "x", "id": True}, "'id'=True"),
        ({"input": "a", "target": "x", "id": "dev:0"}, "id 'dev:0' is on line 1 already"),
    ],
)
def test_a_malformed_row_is_an_error_with_file_and_line(tmp_path, row, message):
    write(tmp_path, "dev", [{"input": "a", "target": "b"}, row])
    with pytest.raises(InputError, match=rf"dev\.jsonl:2: {message}"):
        list(JsonLines(tmp_path).read("dev"))


def test_missing_files_are_an_error_with_names_setting_and_form(tmp_path):
    with pytest.raises(InputError, match=r"test\.jsonl .*: not in .*dev\.jsonl.*'?\{\"input\".*config\.task\.data_dir"):
        JsonLines(tmp_path).files("test")
    with pytest.raises(InputError, match=r"train\.jsonl .*config\.task\.data_dir is unset"):
        JsonLines("").files("train")


def test_the_score_command_takes_it_without_code(tmp_path):
    write(tmp_path, "test", [{"input": "a", "references": ["one two three four", "x"]}, {"input": "b", "target": "Y"}])
    (tmp_path / "p.txt").write_text("one two three four\ny\n")
    flags = [f"--data_dir={tmp_path}", f"--predictions={tmp_path / 'p.txt'}", f"--output={tmp_path / 'out.jsonl'}"]
    done = call("ipt_jax.score", "--task=jsonl", *flags)

    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert summary["bleu_lowercase"] == pytest.approx(100) and summary["bleu"] < 100
    assert summary["rouge_l"] == pytest.approx(100) and summary["chrf"] < 100
    assert summary.keys() - {"task", "split", "examples", "signatures"} == {
        headline(JsonLines).name, "bleu_lowercase", "chrf", "rouge_l"
    }  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["test:0", "test:1"]
    assert rows[0]["scores"].keys() == {example_headline(JsonLines), "chrf", "rouge_l"}


def test_a_label_task_names_its_metric_and_normalisation(tmp_path):
    write(tmp_path, "test", [{"input": "a", "target": "Good"}, {"input": "b", "target": "bad"}])
    (tmp_path / "p.txt").write_text("good\ngood\n")
    flags = [f"--data_dir={tmp_path}", f"--predictions={tmp_path / 'p.txt'}"]
    options = ["--option=metric=accuracy", "--option=normalisation=lower"]
    done = call("ipt_jax.score", "--task=jsonl", *flags, *options)

    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert summary["accuracy"] == 50 and summary["macro_f1"] == pytest.approx(100 / 3)
    assert "norm:lower" in summary["signatures"]["accuracy"] and "bleu" not in summary


@pytest.mark.parametrize("metric", ["bleu", "exact_match", "accuracy", "f1", "rouge_l", "chrf"])
def test_the_metric_that_is_named_is_the_headline_and_scores_single_texts(metric):
    task = get_task("jsonl", metric=metric)
    assert headline(task).name == metric
    assert metric == "bleu" or example_headline(task) == metric


def test_options_at_their_default_are_no_part_of_a_run():
    assert resolve_options("jsonl", {"metric": "bleu", "normalisation": "none"}) == {} == get_task("jsonl").options
    assert resolve_options("jsonl", {"metric": "f1"}) == {"metric": "f1"} == get_task("jsonl", metric="f1").options


def test_the_config_has_them_all_for_the_command_line_and_leaves_the_ids_as_they_were():
    options = jsonl.get_config().task.options.to_dict()
    assert options.keys() == set(JsonLines.later_options) and resolve_options("jsonl", options) == {}


@pytest.mark.parametrize(
    ("option", "known"), [("metric", "bleu, exact_match, accuracy, f1"), ("normalisation", "none, lower, squad")]
)
def test_an_unknown_metric_or_normalisation_is_an_error_with_those_that_are(option, known):
    with pytest.raises(InputError, match=rf"config\.task\.options\.{option}='blue' .* one of {known}"):
        get_task("jsonl", **{option: "blue"})


def test_a_normalisation_without_a_use_is_an_error():
    with pytest.raises(InputError, match="normalisation='squad' does nothing to metric 'chrf'"):
        get_task("jsonl", metric="chrf", normalisation="squad")
