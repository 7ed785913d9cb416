"""From rows to predictions to scores."""

import datasets
import pytest
from jax import numpy as jnp
from tiny import tiny_lm

from ipt_jax import evaluation, mesh
from ipt_jax.errors import InputError
from ipt_jax.generation import Search
from ipt_jax.layout import Template
from ipt_jax.preparation import Preparer, Retrieval
from ipt_jax.storage import append_rows, read_rows
from ipt_jax.tasks import get_task

LAYOUT = {
    "shown": Retrieval("random", 2, train_limit=30, seed=0),
    "template": Template(),
    "budget": 5000,
    "overflow": "fail",
    "with_target": False,
}


@pytest.fixture(scope="module")
def preparer(tmp_path_factory):
    return Preparer(tiny_lm(), get_task("sample"), tmp_path_factory.mktemp("cache"))


def test_demonstrations_come_from_the_training_split_and_never_from_the_example_itself(preparer):
    pool = dict(zip(preparer.split("train", 30)["id"], preparer.split("train", 30)["input"], strict=True))
    for split in ("train", "dev", "test"):
        prepared = preparer.rows(split, 30, **LAYOUT)
        for example, row in zip(prepared.examples, prepared.rows, strict=True):
            assert len(row.demonstrations) == 2
            for demonstration in row.demonstrations:
                assert pool[demonstration.id] == demonstration.input != example["input"]
                assert demonstration.id != example["id"]


def test_a_split_is_prepared_once_for_each_layout_and_seed(preparer):
    assert preparer.rows("test", 5, **LAYOUT) is preparer.rows("test", 5, **LAYOUT)
    other = preparer.rows("test", 5, **{**LAYOUT, "shown": Retrieval("random", 2, train_limit=30, seed=1)})
    first = preparer.rows("test", 5, **LAYOUT)
    assert [r.demonstrations for r in other.rows] != [r.demonstrations for r in first.rows]


def test_a_missing_prediction_is_no_score(preparer, tmp_path):
    prepared = preparer.rows("test", 3, **LAYOUT)
    member = evaluation.Member(prepared, tmp_path / "predictions.jsonl")
    first = prepared.examples[0]
    append_rows(member.predictions, [{"id": first["id"], "prediction": "x"}])
    with pytest.raises(InputError, match=r"lacks 2 of 3 examples, such as test:"):
        evaluation.score(get_task("sample"), member)


class Judging:
    """The sample, judged by whether there is a 'the': a metric that some examples do not have."""

    def __init__(self):
        self.name, self.example_metric = "sample", "the"

    def score_example(self, prediction, example):
        return {"the": 50.0, "more": 1.0} if "the" in example.target else {}


def test_a_row_holds_the_headline_of_the_examples_scores_or_null(preparer, tmp_path):
    prepared = preparer.rows("test", 12, **{**LAYOUT, "budget": 500})
    member = evaluation.Member(prepared, tmp_path / "predictions.jsonl")
    lm = preparer.lm
    prompts = jnp.zeros((1, 0, lm.decoder.config.embed_dim))
    search = Search(max_new_tokens=2, stop=("\n",))
    evaluation.predict(
        lm, Judging(), prompts, [member], search, batch_size=4, devices=mesh.make_mesh(), title="test"
    )  # fmt: skip
    rows = {row["id"]: row for row in read_rows(member.predictions)}
    expected = {e["id"]: 50.0 if "the" in e["target"] else None for e in prepared.examples}
    assert {id: row["score"] for id, row in rows.items()} == expected
    assert set(expected.values()) == {50.0, None}
    assert all(rows[e["id"]]["references"] == e["references"] for e in prepared.examples)


def test_perfect_predictions_score_a_hundred_whatever_order_they_were_written_in(preparer, tmp_path):
    prepared = preparer.rows("test", 5, **LAYOUT)
    assert isinstance(prepared.examples, datasets.Dataset)
    member = evaluation.Member(prepared, tmp_path / "predictions.jsonl")
    rows = [{"id": e["id"], "prediction": e["target"]} for e in prepared.examples]
    append_rows(member.predictions, rows[::-1])
    scores = evaluation.score(get_task("sample"), member)
    assert scores["bleu_unifiedskg"] == pytest.approx(100) and scores["bleu_official"] == pytest.approx(100)
