"""Neighbours out of a file: the first that may be shown, in their order, and errors that name the line."""

import json

import numpy as np
import pytest

from ipt_jax.errors import InputError
from ipt_jax.retrieval import Pool
from ipt_jax.retrieval.from_file import content_hash, neighbours_in

POOL = Pool(["train:0", "train:1", "train:2", "train:3"], ["a", "b", "c", "a"])
QUERIES = Pool(["test:0", "test:1"], ["a", "z"], "test")
ROWS = [
    {"id": "test:1", "neighbours": ["train:2", "train:0", "train:1"], "similarities": [0.9, 0.5, 0.1]},
    {"id": "test:0", "neighbours": ["train:3", "train:1", "train:2"], "similarities": [1.0, 0.7, 0.6]},
    {"id": "elsewhere:0", "neighbours": ["nobody"]},
]


def written(folder, rows):
    path = folder / "neighbours.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_first_that_may_be_shown_are_taken_in_the_order_of_the_file(tmp_path):
    found = neighbours_in(written(tmp_path, ROWS), QUERIES, POOL, 2)
    assert found.indices.tolist() == [[1, 2], [2, 0]]  # train:3 has test:0's own input
    assert found.similarities.tolist() == np.array([[0.7, 0.6], [0.9, 0.5]], np.float32).tolist()
    assert found.duplicates_excluded == 2


def test_duplicates_are_shown_where_they_may_be_and_similarities_may_be_left_out(tmp_path):
    rows = [{key: value for key, value in row.items() if key != "similarities"} for row in ROWS]
    found = neighbours_in(written(tmp_path, rows), QUERIES, POOL, 1, exclude_duplicates=False)
    assert found.indices.tolist() == [[3], [2]] and found.similarities is None


def test_a_training_example_is_never_shown_itself(tmp_path):
    path = written(tmp_path, [{"id": "train:1", "neighbours": ["train:1", "train:2"]}])
    assert neighbours_in(path, Pool(["train:1"], ["b"]), POOL, 1).indices.tolist() == [[2]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"neighbours": ["train:9"]}, r"neighbours\.jsonl:1: 'train:9' is the id of no training example"),
        ({"neighbours": "train:1"}, r"neighbours\.jsonl:1: expected \{"),
        ({"similarities": [1.0]}, r"neighbours\.jsonl:1: 'similarities'=\[1\.0\] should be a finite number for each"),
        ({"similarities": None}, r"some rows have similarities and others have none"),
        ({"neighbours": ["train:2"], "similarities": [1]}, r"'test:1' has 1 neighbours .* layout\.demonstrations=2"),
        ({"id": "test:7"}, r"neighbours\.jsonl has no row of 'test:1'"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        neighbours_in(written(tmp_path, [ROWS[0] | change, *ROWS[1:]]), QUERIES, POOL, 2)


def test_a_file_is_known_by_its_content_and_a_missing_one_is_told(tmp_path):
    (tmp_path / "other").mkdir()
    first, same = written(tmp_path, ROWS), written(tmp_path / "other", ROWS)
    assert content_hash(str(first)) == content_hash(str(same)) != content_hash(str(written(tmp_path, ROWS[:2])))
    with pytest.raises(InputError, match=r"config\.layout\.retriever='nowhere\.jsonl': there is no such file"):
        content_hash("nowhere.jsonl")
