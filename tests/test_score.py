"""The score command: files of predictions, their mistakes, and what it prints and writes."""

import json
import os
import subprocess
import sys

import pytest
from commands import call
from paths import ROOT

from ipt_jax.errors import InputError
from ipt_jax.score import judge_file, read_predictions, score_file
from ipt_jax.tasks.base import load_split
from ipt_jax.tasks.sample.task import Sample

IDS = ["test:0", "test:1", "test:2"]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def references():
    return {example.id: example.references for example in Sample().read("test")}


def test_rows_are_taken_by_id_whatever_their_order_and_other_keys(tmp_path):
    rows = [{"id": row_id, "prediction": f"text {row_id}", "stop": "eos", "score": 1.5} for row_id in reversed(IDS)]
    path = write_rows(tmp_path / "predictions.jsonl", rows)

    assert read_predictions(path, IDS) == ["text test:0", "text test:1", "text test:2"]


def test_rows_are_recognised_in_a_file_of_any_name(tmp_path):
    path = write_rows(tmp_path / "output.txt", [{"id": row_id, "prediction": "x"} for row_id in IDS])
    assert read_predictions(path, IDS) == ["x", "x", "x"]


@pytest.mark.parametrize("text", ["a\n\nb c", "a\n\nb c\n", "a\r\n\r\nb c\r\n"])
def test_a_text_file_has_a_prediction_per_line_and_an_empty_line_is_an_empty_one(tmp_path, text):
    path = tmp_path / "predictions.txt"
    path.write_bytes(text.encode())
    assert read_predictions(path, IDS) == ["a", "", "b c"]


def test_only_a_line_feed_ends_a_line(tmp_path):
    path = tmp_path / "predictions.txt"
    path.write_text("a\u2028b\x0cc\n{not JSON\n3\n", encoding="utf-8")
    assert read_predictions(path, IDS) == ["a\u2028b\x0cc", "{not JSON", "3"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "a\nb\n", r"p\.txt: has 2 lines, the split has 3 examples"),
        ("p.txt", "a\nb\nc\n\n", r"p\.txt: has 4 lines"),
        ("p.txt", "", r"p\.txt: has 0 lines"),
        ("p.jsonl", "", r"p\.jsonl: 3 of the split's 3 examples have no prediction: 'test:0', 'test:1', 'test:2';"),
        ("p.jsonl", '{"id": "test:1", "prediction": ""}\n', r"2 of the split's 3 .*: 'test:0', 'test:2';"),
        ("p.jsonl", '{"id": "test:1", "prediction": ""}\n{"id"', r"p\.jsonl:2: not valid JSON"),
        ("p.jsonl", '{"id": "test:1", "prediction": ""}\n\n', r"p\.jsonl:2: not valid JSON"),
        ("p.jsonl", '{"id": "test:1"}', r'p\.jsonl:1: a row should be an object with "id"'),
        ("p.jsonl", '{"id": 1.5, "prediction": ""}', r"p\.jsonl:1: a row should be"),
        ("p.jsonl", '{"id": true, "prediction": ""}', r"p\.jsonl:1: a row should be"),
        ("p.jsonl", '{"id": "test:1", "prediction": "", "x": ' + "9" * 5000 + "}", r"p\.jsonl:1: .*digits"),
        ("p.jsonl", '{"id": "test:1", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", r"p\.jsonl:1: .*nested too deeply"),
        ("p.json", '[{"id": "test:1", "prediction": ""},\n {"id": "test:2"}]', r"p\.json:2: a row should be"),
        ("p.json", '[\n "a",\n "b"\n]', r"p\.json:2: .*each entry of the list should be a JSON object"),
        ("p.jsonl", '["test:1", ""]', r"p\.jsonl:1: a row should be"),
        ("p.jsonl", '{"id": "dev:7", "prediction": ""}', r"1 ids are not in the split: 'dev:7' \(line 1\); .*'test:0'"),
        ("p.jsonl", '{"id": "test:1", "prediction": ""}\n' * 2, r"p\.jsonl:2: id 'test:1' is on line 1 already"),
    ],
)
def test_a_file_that_does_not_fit_the_split_is_an_error_with_its_place(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_predictions(path, IDS)


def test_a_long_list_of_missing_ids_is_cut(tmp_path):
    path = write_rows(tmp_path / "p.jsonl", [])
    with pytest.raises(InputError, match=r"99 of the split's 99 .*: 'x:0', 'x:1', 'x:2', …;"):
        read_predictions(path, [f"x:{n}" for n in range(99)])


def test_a_file_that_is_missing_or_not_utf8_is_an_error_with_its_place(tmp_path):
    with pytest.raises(InputError, match=r"absent\.txt: cannot be read \(No such file"):
        read_predictions(tmp_path / "absent.txt", IDS)
    (tmp_path / "p.txt").write_bytes(b"a\nb\n\xe9\n")
    with pytest.raises(InputError, match=r"p\.txt:3: not UTF-8"):
        read_predictions(tmp_path / "p.txt", IDS)


def test_predictions_equal_to_a_reference_score_100_and_wrong_ones_0(tmp_path, references):
    rows = [{"id": row_id, "prediction": texts[-1]} for row_id, texts in references.items()]
    rows[7]["prediction"] = "xyzzy"
    summary, scores = score_file(Sample(), "test", write_rows(tmp_path / "p.jsonl", rows))

    assert summary["examples"] == len(scores) == 100
    assert 90 < summary["bleu_unifiedskg"] < 100 and 90 < summary["bleu_official"] < 100
    values = [row["scores"]["sentence_bleu"] for row in scores]
    assert values[7] < 1 and min(values[:7] + values[8:]) == pytest.approx(100)
    assert [row["id"] for row in scores] == list(references)


def test_a_runs_predictions_give_what_each_example_adds_to_each_score(tmp_path, references):
    rows = [{"id": row_id, "prediction": texts[0], "score": 0.5} for row_id, texts in references.items()]
    examples, scores = judge_file(Sample(), "test", write_rows(tmp_path / "predictions.jsonl", rows[::-1]))

    assert [example.id for example in examples] == list(references)
    for metric in scores.metrics:
        drawn = scores.rows[metric.name][[0, 0, 7]]
        assert drawn.shape[0] == 3
        assert metric.corpus is None or metric.corpus(drawn.sum(axis=0)) == pytest.approx(100)


def test_the_command_prints_one_json_object_and_writes_a_row_per_example(tmp_path, references):
    path = tmp_path / "p.txt"
    path.write_text("".join(texts[0] + "\n" for texts in references.values()), encoding="utf-8")
    output = tmp_path / "new" / "scores.jsonl"
    done = call("ipt_jax.score", "--task=sample", f"--predictions={path}", f"--output={output}")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    summary = json.loads(done.stdout)
    assert summary["bleu_unifiedskg"] == summary["bleu_official"] == pytest.approx(100)
    assert summary["signatures"].keys() == {"bleu_unifiedskg", "bleu_official", "chrf", "rouge_l"}
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 100 and rows[0] == {
        "id": "test:0",
        "scores": dict.fromkeys(("sentence_bleu", "chrf", "rouge_l"), pytest.approx(100)),
    }


def test_the_command_does_not_import_jax():
    code = "import sys, ipt_jax.score; sys.exit('jax' in sys.modules or 'datasets' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=120).returncode == 0


def test_predictions_of_a_limited_split_are_scored_with_the_same_limit(tmp_path):
    kept = load_split(Sample(), "test", limit=7, cache_dir=tmp_path)
    rows = [{"id": example["id"], "prediction": example["target"]} for example in kept]
    path = write_rows(tmp_path / "p.jsonl", rows)
    summary, _ = score_file(Sample(), "test", path, limit=7)
    assert summary["examples"] == 7 and summary["bleu_unifiedskg"] == pytest.approx(100)
    with pytest.raises(InputError, match="93 of the split's 100 examples have no prediction.*give --limit"):
        score_file(Sample(), "test", path)


def test_an_option_of_the_task_is_given_on_the_command_line_and_a_mistake_is_one_line_with_status_2(tmp_path):
    record = {"topic": "t", "sent": "x .", "logic_str": "only { all_rows } = true", "table_header": ["a"]}
    (tmp_path / "test.json").write_text(json.dumps([record]))
    (tmp_path / "p.txt").write_text("x .\n")
    given = ("--task=logic2text", f"--data_dir={tmp_path}", f"--predictions={tmp_path / 'p.txt'}")

    assert json.loads(call("ipt_jax.score", *given, "--option=caption=false").stdout)["examples"] == 1
    done = call("ipt_jax.score", *given, "--option=captoin=false")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "did you mean 'caption'" in done.stderr


@pytest.mark.parametrize("name", ["p.txt", "p.jsonl", "p.json"])
def test_a_byte_order_mark_is_no_part_of_the_first_prediction(tmp_path, name):
    rows = [{"id": row_id, "prediction": f"text {row_id}"} for row_id in IDS]
    texts = {
        "p.txt": "".join(row["prediction"] + "\n" for row in rows),
        "p.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "p.json": json.dumps(rows, indent=2),
    }
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + texts[name].encode())
    assert read_predictions(tmp_path / name, IDS) == [f"text {row_id}" for row_id in IDS]


def test_a_json_list_of_rows_is_read_as_rows_and_lines_that_only_begin_like_one_as_text(tmp_path):
    rows = [{"id": row_id, "prediction": "x"} for row_id in IDS]
    (tmp_path / "p.json").write_text(json.dumps(rows, indent=2))
    assert read_predictions(tmp_path / "p.json", IDS) == ["x", "x", "x"]
    (tmp_path / "mtop.txt").write_text("[IN:A b ]\n[IN:B ]\n[IN:C ]\n")
    assert read_predictions(tmp_path / "mtop.txt", IDS) == ["[IN:A b ]", "[IN:B ]", "[IN:C ]"]


def test_ids_that_are_whole_numbers_are_those_of_json_lines_tasks(tmp_path):
    path = write_rows(tmp_path / "p.jsonl", [{"id": n, "prediction": f"text {n}"} for n in (2, 1)])
    assert read_predictions(path, ["1", "2"]) == ["text 1", "text 2"]
