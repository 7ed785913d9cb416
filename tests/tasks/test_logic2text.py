"""Logic2Text: linearisation, ids, references, counts, errors and scores."""

import gzip
import json

import pytest
from absl import logging
from official import FULL, committed, goldens, read_json, read_lines, whole_release

from ipt_jax.errors import InputError
from ipt_jax.tasks import logic2text
from ipt_jax.tasks.base import Example
from ipt_jax.tasks.logic2text import Logic2Text
from ipt_jax.tasks.scores import example_headline, headline, score

FORM = "eq { count { filter_eq { all_rows ; won ; 9 } } ; 2 } = true"
RECORDS = [
    {
        "topic": "2009 league",
        "sent": "2 teams won 9 games .",
        "logic_str": FORM,
        "table_header": ["", "won , in all"],
        "table_cont": [["a", "9"]],
    },
    {"topic": "t", "sent": "x is the only one .", "logic_str": "only { all_rows } = true", "table_header": []},
]
FIRST = Example(
    "dev:0",
    f"{FORM} Caption: 2009 league | , won , in all",
    "2 teams won 9 games .",
    ("2 teams won 9 games .",),
    {"logic_form": FORM, "topic": "2009 league"},
)


def write_split(folder, name, records, packed=False):
    data = json.dumps(records, indent=1).encode()
    (folder / (f"{name}.json" + (".gz" if packed else ""))).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_is_an_example_with_its_logical_form_in_the_details(tmp_path, packed):
    write_split(tmp_path, "valid", RECORDS, packed)
    first, second = Logic2Text(tmp_path).read("dev")

    assert first == FIRST
    assert (second.id, second.target) == ("dev:1", "x is the only one .")


def test_without_the_caption_an_input_is_the_logical_form(tmp_path):
    write_split(tmp_path, "test", RECORDS)
    task = Logic2Text(tmp_path, caption=False)

    assert [example.input for example in task.read("test")] == [FORM, "only { all_rows } = true"]
    assert (task.options, Logic2Text(tmp_path).options) == ({"caption": False}, {"caption": True})


def test_another_version_of_the_data_is_read_with_a_warning(tmp_path, monkeypatch):
    write_split(tmp_path, "valid", RECORDS)
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    assert len(list(Logic2Text(tmp_path).read("dev"))) == 2
    (warning,) = warnings
    assert "not Logic2Text's dev split: 2 examples instead of 1,095" in warning

    monkeypatch.setitem(logic2text.RELEASE_COUNTS, "dev", 2)
    assert len(list(Logic2Text(tmp_path).read("dev"))) == 2
    assert len(warnings) == 1


def test_missing_files_are_an_error_with_names_origin_setting_and_command(tmp_path):
    write_split(tmp_path, "train", RECORDS)
    with pytest.raises(InputError) as error:
        Logic2Text(tmp_path).files("dev")
    message = str(error.value)

    assert f"{str(tmp_path)!r}: valid.json, test.json (or .json.gz)" in message
    for part in ("czyssrs/Logic2Text", "config.task.data_dir", "python -m ipt_jax.tasks.download logic2text"):
        assert part in message


def test_an_unset_data_dir_is_an_error_that_says_so(tmp_path, monkeypatch):
    write_split(tmp_path, "train", RECORDS)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="data_dir is unset: train.json"):
        Logic2Text(None).files("train")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("topic", None),
        ("sent", 3),
        ("logic_str", ["eq"]),
        ("table_header", "won"),
        ("table_header", ["won", None]),
    ],
)
def test_a_malformed_record_is_an_error_with_file_line_and_record(tmp_path, key, value):
    good, bad = json.dumps(RECORDS[1]), json.dumps({**RECORDS[1], key: value})
    (tmp_path / "valid.json").write_text(f"[\n{good},\n{good},\n{bad}\n]")

    with pytest.raises(InputError, match=rf"valid\.json:4: record 2: '{key}'"):
        list(Logic2Text(tmp_path).read("dev"))


def test_an_unknown_split_is_an_error(tmp_path):
    with pytest.raises(InputError, match="split = 'valid' is not one of train, dev, test"):
        Logic2Text(tmp_path).files("valid")


def test_scores_are_named_by_convention_and_carry_a_signature():
    task = Logic2Text(None)
    scores = score(task, [FIRST.target, "no team has it .", "2 or 9"], [FIRST] * 3).to_dict()

    assert scores["blec"] == pytest.approx(200 / 3)
    assert 0 < scores["bleu_official"] <= scores["bleu_sacrebleu"] < 100
    assert {"blec", "bleu_official", "bleu_sacrebleu", "chrf", "rouge_l", "signatures"} <= scores.keys()
    assert scores.keys() - {"signatures"} <= scores["signatures"].keys()
    assert headline(task).name in scores


def test_an_example_passes_or_fails():
    task = Logic2Text(None)

    passes, fails, empty = score(task, [FIRST.target, "nothing", ""], [FIRST] * 3).examples
    assert (passes["blec"], fails["blec"]) == (100, 0)
    assert example_headline(task) in empty


@pytest.fixture(scope="module", params=goldens("logic2text", slow=True))
def release(request):
    """The golden set, and the examples of its release with and without the caption."""
    tasks = {caption: Logic2Text(request.param.release, caption=caption) for caption in (True, False)}
    splits = logic2text.FILE_NAMES
    return request.param, {
        caption: {split: list(task.read(split)) for split in splits} for caption, task in tasks.items()
    }


def test_the_release_has_its_counts(release):
    golden, examples = release
    counts = {split: len(own) for split, own in examples[True].items()}
    assert counts == (logic2text.RELEASE_COUNTS if golden.whole else dict.fromkeys(logic2text.FILE_NAMES, 20))


def test_all_golden_inputs_of_the_release_are_equal(release):
    golden, examples = release
    rows = golden.rows("inputs.jsonl.gz")
    assert len(rows) == (480 if golden.whole else 60)
    for row in rows:
        name, index = row["id"].split(":")
        split = "dev" if name == "valid" else name
        example = examples[True][split][int(index)]
        assert (example.id, example.input) == (f"{split}:{index}", f"{row['text_in']} {row['struct_in']}")
        assert (example.target, example.references) == (row["seq_out"], (row["seq_out"],))
        assert examples[False][split][int(index)].input == row["text_in"]


def test_committed_verdicts_come_out_of_the_task():
    verdicts = committed("logic2text").rows("verdicts.jsonl.gz")
    examples = [Example("x", "", row["gold"], (row["gold"],), {"logic_form": row["logic_str"]}) for row in verdicts]
    scores = score(Logic2Text(None), [row["prediction"] for row in verdicts], examples)
    assert scores.corpus["blec"] == pytest.approx(100 * committed("logic2text").json("overall.json")["blec"])
    assert [each["blec"] for each in scores.examples] == [100 * row["blec"] for row in verdicts]


@whole_release("logic2text")
def test_two_systems_have_the_official_scores_on_the_whole_test_split():
    golden = FULL / "golden" / "logic2text"
    verdicts = read_json(golden / "overall.json")["bleu_groups"]
    rows = read_lines(golden / "bleu_predictions.jsonl.gz")
    examples = list(Logic2Text(FULL / "data" / "logic2text").read("test"))
    for verdict in verdicts:
        if not verdict["group"].startswith("full_test_system:"):
            continue
        predictions = {row["id"]: row["prediction"] for row in rows if row["group"] == verdict["group"]}
        scores = score(Logic2Text(None), [predictions[example.id] for example in examples], examples).corpus
        assert scores["blec"] == pytest.approx(100 * verdict["blec"], abs=1e-4)
        assert scores["bleu_official"] == pytest.approx(verdict["multi_bleu"]["bleu"], abs=1e-4)
        assert scores["bleu_sacrebleu"] == pytest.approx(verdict["sacrebleu_13a"], abs=1e-4)
