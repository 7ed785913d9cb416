"""What evaluation shares with training: exact and near duplicates, groups."""

import json
import re

import pytest
from commands import call
from official import FULL, whole_release

from ipt_jax.errors import InputError
from ipt_jax.tasks.base import Example
from ipt_jax.tasks.near_duplicates import overlap_counts
from ipt_jax.tasks.overlap import describe, main, overlap


class Shop:
    """A task of two lists."""

    name, title, metrics, reader_version = "shop", "Shop", (), 1
    options = {"small": True}
    groups = "street"

    def __init__(self, train, test):
        self.splits = {"train": train, "test": test}

    def read(self, split):
        for index, (text, target, street) in enumerate(self.splits[split]):
            yield Example(f"{split}:{index}", text, target, (target,), {"street": street})


LONG = "one two three four five six seven eight nine ten eleven twelve"
TRAIN = [("a b", "A", "north"), ("a b", "B", "north"), (LONG, "C", "south")]
TEST = [("a b", "B", "north"), ("a b", "Z", "west"), (LONG.title() + ".", "C", "south"), ("c d", "D", "east")]


def test_the_report_counts_each_kind_once_and_lists_the_pairs():
    report = overlap(Shop(TRAIN, TEST), "test")

    assert (report["examples"], report["train_examples"], report["options"]) == (4, 3, {"small": True})
    assert report["exact"] == {"examples": 2, "percent": 50.0, "with_the_same_target": 1}
    assert (report["near"]["examples"], report["near"]["percent"]) == (1, 25.0)
    assert report["group"] == {
        "name": "street", "values": 4, "values_in_train": 2, "examples": 2, "percent": 50.0
    }  # fmt: skip
    assert report["pairs"] == [
        {"id": "test:0", "train_id": "train:0", "similarity": 1.0, "exact": True, "same_target": True},
        {"id": "test:1", "train_id": "train:0", "similarity": 1.0, "exact": True, "same_target": False},
        {"id": "test:2", "train_id": "train:2", "similarity": 1.0, "exact": False, "same_target": True},
    ]
    text = describe(report)
    for part in ("4 examples of test against 3 of train", "50.00 %", "25.00 %", "same street", "2 of 4 values"):
        assert part in text


def test_the_counts_of_a_run_are_those_of_the_report():
    train, test = ([text for text, _, _ in rows] for rows in (TRAIN, TEST))
    report = overlap(Shop(TRAIN, TEST), "test")
    assert overlap_counts(test, train) == {
        "same_input": report["exact"]["examples"],
        "near_duplicate": report["near"]["examples"],
        "examples": report["examples"],
    }


def test_a_task_without_groups_says_so():
    task = Shop(TRAIN, TEST)
    task.groups = None
    report = overlap(task, "test")
    assert report["group"] is None and "the task names none" in describe(report)


def test_comparing_train_with_itself_or_an_empty_split_is_an_error():
    with pytest.raises(InputError, match="choose dev or test"):
        overlap(Shop(TRAIN, TEST), "train")
    with pytest.raises(InputError, match="its test split is empty"):
        overlap(Shop(TRAIN, []), "test")


def test_the_command_prints_the_report_and_writes_it_with_all_pairs(tmp_path):
    for split, rows in (("train", TRAIN), ("test", TEST)):
        lines = [json.dumps({"input": text, "target": target}) for text, target, _ in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    done = call(
        "ipt_jax.tasks.overlap", "jsonl", f"--data_dir={tmp_path}", f"--output={tmp_path / 'new' / 'report.json'}"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("jsonl: 4 examples of test against 3 of train\n")
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert len(report["pairs"]) == 3 and report["exact"]["examples"] == 2


def test_a_command_without_a_task_is_an_error_that_shows_one():
    with pytest.raises(InputError, match="name one task, as in: python -m"):
        main(["overlap"])


@whole_release("dart")
def test_dart_takes_seconds():
    done = call("ipt_jax.tasks.overlap", "dart", f"--data_dir={FULL / 'data' / 'dart'}", "--split=test")
    assert "5,097 examples of test against 62,659 of train" in done.stdout
    assert re.search(r"same input +24 ", done.stdout) and re.search(r"near-duplicate +207 ", done.stdout)
