"""DART: linearisation, ids, references, counts and errors."""

import gzip
import json

import pytest
from absl import logging
from official import goldens

from ipt_jax.errors import InputError
from ipt_jax.tasks import TASKS, dart, get_task
from ipt_jax.tasks.base import SPLITS, Example
from ipt_jax.tasks.dart import Dart
from ipt_jax.tasks.scores import headline, score

ENTRIES = [
    {
        "tripleset": [["Zizzi", "eatType", "pub"], ["Zizzi", "NEAR", "The Sorrento"]],
        "subtree_was_extended": False,
        "annotations": [{"source": "x", "text": " Zizzi is a pub. "}, {"source": "y", "text": ""}],
    },
    {"tripleset": [["A", "B", "C"]], "annotations": [{"text": "A is C."}]},
]


def write_split(folder, split, entries, packed=False):
    data = json.dumps(entries, indent=1).encode()
    path = folder / (f"dart-v1.1.1-full-{split}.json" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def test_training_has_an_example_for_each_text(tmp_path):
    write_split(tmp_path, "train", ENTRIES)
    source = "Zizzi : eattype : pub | Zizzi : near : The Sorrento"

    assert list(Dart(tmp_path).read("train")) == [
        Example("train:0:0", source, " Zizzi is a pub. ", (" Zizzi is a pub. ",)),
        Example("train:0:1", source, "", ("",)),
        Example("train:1:0", "A : b : C", "A is C.", ("A is C.",)),
    ]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_dev_and_test_have_an_example_for_each_entry_with_all_its_references(tmp_path, split):
    write_split(tmp_path, split, ENTRIES, packed=True)
    first, second = Dart(tmp_path).read(split)

    assert first.id == f"{split}:0"
    assert first.target == " Zizzi is a pub. "
    assert first.references == (" Zizzi is a pub. ", "")
    assert second.id == f"{split}:1"


def test_another_version_of_the_data_is_read_with_a_warning(tmp_path, monkeypatch):
    write_split(tmp_path, "dev", ENTRIES)
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    assert len(list(Dart(tmp_path).read("dev"))) == 2
    (warning,) = warnings
    assert "2 entries with 3 texts instead of 2,768 entries with 6,980 texts" in warning

    monkeypatch.setitem(dart.RELEASE_COUNTS, "dev", ((2, 3),))
    assert len(list(Dart(tmp_path).read("dev"))) == 2
    assert len(warnings) == 1


def test_missing_files_are_an_error_with_names_origin_setting_and_command(tmp_path):
    write_split(tmp_path, "dev", ENTRIES)
    with pytest.raises(InputError) as error:
        Dart(tmp_path).files("test")
    message = str(error.value)

    assert str(tmp_path) in message
    assert "dart-v1.1.1-full-test.json" in message
    assert "dart-v1.1.1-full-dev.json" not in message
    for part in ("Yale-LILY/dart", "data/v1.1.1", "config.task.data_dir", "python -m ipt_jax.tasks.download dart"):
        assert part in message


@pytest.mark.parametrize("data_dir", [None, ""])
def test_an_unset_data_dir_is_an_error_that_says_so(data_dir, tmp_path, monkeypatch):
    write_split(tmp_path, "train", ENTRIES)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="data_dir is unset: dart-v1.1.1-full-train.json"):
        Dart(data_dir).files("train")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"annotations": [{"text": "x"}]}, "'tripleset'"),
        ({"tripleset": [], "annotations": [{"text": "x"}]}, "'tripleset'"),
        ({"tripleset": [["a", "b"]], "annotations": [{"text": "x"}]}, "'tripleset'"),
        ({"tripleset": [["a", "b", 3]], "annotations": [{"text": "x"}]}, "'tripleset'"),
        ({"tripleset": [["a", "b", "c"]], "annotations": []}, "'annotations'"),
        ({"tripleset": [["a", "b", "c"]], "annotations": [{"txt": "x"}]}, "'annotations'"),
        ({"tripleset": [["a", "b", "c"]], "annotations": [{"text": None}]}, "'annotations'"),
    ],
)
def test_a_malformed_entry_is_an_error_with_file_line_and_record(tmp_path, entry, message):
    good = json.dumps(ENTRIES[1])
    (tmp_path / "dart-v1.1.1-full-dev.json").write_text(f"[\n{good},\n{good},\n{json.dumps(entry)}\n]")

    with pytest.raises(InputError, match=rf"dart-v1\.1\.1-full-dev\.json:4: record 2: {message}"):
        list(Dart(tmp_path).read("dev"))


def test_an_unknown_split_is_an_error(tmp_path):
    with pytest.raises(InputError, match="split = 'validation' is not one of train, dev, test"):
        Dart(tmp_path).files("validation")


def test_scores_name_their_convention_and_carry_a_signature():
    scores = score(Dart(None), ["Zizzi is a pub."], [Example("dev:0", "x", "y", ("Zizzi is a pub .",))]).to_dict()

    assert scores["bleu_official"] == pytest.approx(100)
    assert scores["bleu_unifiedskg"] == pytest.approx(100)
    assert {headline(Dart).name, "chrf", "rouge_l"} <= scores.keys()
    assert scores.keys() - {"signatures"} <= scores["signatures"].keys()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_is_found_by_its_own_name(name):
    assert get_task(name).name == name


def test_an_unknown_task_is_an_error_that_suggests_the_near_name():
    with pytest.raises(InputError, match="'drat' is unknown; did you mean 'dart'"):
        get_task("drat")
    with pytest.raises(InputError, match="there are dart, .*sample"):
        get_task("quite another")


@pytest.fixture(scope="module", params=goldens("dart", slow=True))
def release(request):
    """The golden set, and the examples of its release by id."""
    task = Dart(request.param.release)
    return request.param, {split: {example.id: example for example in task.read(split)} for split in SPLITS}


def test_the_release_has_its_counts(release):
    golden, examples = release
    assert [len(examples[split]) for split in SPLITS] == ([62_659, 2_768, 5_097] if golden.whole else [93, 28, 20])
    texts = sum(len(example.references) for example in examples["test"].values())
    assert texts == (12_552 if golden.whole else 47)


def test_all_golden_inputs_of_the_release_are_equal(release):
    golden, examples = release
    rows = golden.rows("inputs.jsonl.gz")
    assert len(rows) == (650 if golden.whole else 90)
    for row in rows:
        example = examples[row["id"].split(":")[0]][row["id"]]
        assert (example.input, example.target) == (row["struct_in"], row["seq_out"]), row["id"]
        assert list(example.references) == row.get("references", [row["seq_out"]])
