"""From rows to predictions to scores."""

import dataclasses
import json

import datasets
import numpy as np
import pytest
from jax import numpy as jnp
from tiny import tiny_lm

from ipt_jax.decoding.generation import Search
from ipt_jax.errors import InputError
from ipt_jax.experiment import evaluation
from ipt_jax.metrics.metric import Metric
from ipt_jax.retrieval import Retrieval
from ipt_jax.rows.layout import Layout
from ipt_jax.rows.preparation import Preparer
from ipt_jax.runtime import mesh
from ipt_jax.tasks import get_task
from ipt_jax.workdir.json_files import append_rows, read_rows

ROOM = {"budget": 5000, "with_target": False}
LAYOUT = Layout(retrieval=Retrieval("random", 2, train_limit=30, seed=0))


@pytest.fixture(scope="module")
def preparer(tmp_path_factory):
    return Preparer(tiny_lm(), get_task("sample"), tmp_path_factory.mktemp("cache"))


def test_demonstrations_come_from_the_training_split_and_never_from_the_example_itself(preparer):
    pool = dict(zip(preparer.split("train", 30)["id"], preparer.split("train", 30)["input"], strict=True))
    for split in ("train", "dev", "test"):
        prepared = preparer.rows(split, 30, LAYOUT, **ROOM)
        for example, row in zip(prepared.examples, prepared.rows, strict=True):
            assert len(row.demonstrations) == 2
            for demonstration in row.demonstrations:
                assert pool[demonstration.id] == demonstration.input != example["input"]
                assert demonstration.id != example["id"]


def test_a_split_is_prepared_once_for_each_layout_and_seed(preparer):
    assert preparer.rows("test", 5, LAYOUT, **ROOM) is preparer.rows("test", 5, LAYOUT, **ROOM)
    other = preparer.rows(
        "test", 5, dataclasses.replace(LAYOUT, retrieval=Retrieval("random", 2, train_limit=30, seed=1)), **ROOM
    )
    first = preparer.rows("test", 5, LAYOUT, **ROOM)
    assert [r.demonstrations for r in other.rows] != [r.demonstrations for r in first.rows]


def test_a_missing_prediction_is_no_score(preparer, tmp_path):
    prepared = preparer.rows("test", 3, LAYOUT, **ROOM)
    member = evaluation.Member(get_task("sample"), prepared, tmp_path / "predictions.jsonl")
    first = prepared.examples[0]
    append_rows(member.predictions, [{"id": first["id"], "prediction": "x"}])
    with pytest.raises(InputError, match=r"lacks 2 of 3 examples, such as test:"):
        evaluation.score(member)


class Judging:
    """The sample, judged by whether there is a 'the': a metric that some examples do not have."""

    name = "sample"

    def __init__(self):
        self.judged = []
        self.metrics = (
            Metric("corpus", "corpus", "", "", self.statistics, lambda sums: 7.0),
            Metric("the", "the", "", "", self.statistics, per_example=lambda row: 50.0 if row[0] else None),
        )

    def statistics(self, predictions, examples):
        self.judged.append(len(predictions))
        return np.array([["the" in example.target] for example in examples], np.float64)


def predict(preparer, member):
    lm = preparer.lm
    prompts = jnp.zeros((1, 0, lm.decoder.config.embed_dim))
    search = Search(max_new_tokens=2, stop=("\n",))
    evaluation.predict(lm, prompts, [member], search, batch_size=4, devices=mesh.make_mesh(), title="test")


COLUMNS = ("id", "input", "demonstrations", "prediction", "references", "stop", "log_probability", "new_tokens")


@pytest.fixture
def predicted(preparer, tmp_path):
    split = preparer.rows("test", 12, LAYOUT, budget=500, with_target=False)
    member = evaluation.Member(Judging(), split, tmp_path / "predictions.jsonl")
    predict(preparer, member)
    return member


def test_rows_are_written_unscored_and_scored_together_after_the_last(predicted):
    task, before = predicted.task, read_rows(predicted.predictions)
    assert [tuple(row) for row in before] == [COLUMNS] * 12 and not task.judged

    scores = evaluation.score(predicted)
    after = read_rows(predicted.predictions)
    assert task.judged == [12] and scores.corpus == {"corpus": 7}
    assert [tuple(row) for row in after] == [(*COLUMNS[:5], "score", *COLUMNS[5:])] * 12
    assert [{key: row[key] for key in COLUMNS} for row in after] == before
    references = {e["id"]: e["references"] for e in predicted.split.examples}
    assert {row["id"]: row["references"] for row in after} == references
    expected = {e["id"]: 50.0 if "the" in e["target"] else None for e in predicted.split.examples}
    assert {row["id"]: row["score"] for row in after} == expected
    assert set(expected.values()) == {50.0, None}


def test_a_scored_file_is_not_written_again(predicted):
    evaluation.score(predicted)
    written = predicted.predictions.stat()
    evaluation.score(predicted)
    assert predicted.predictions.stat() == written


@pytest.mark.parametrize("lines", [12, 5])
@pytest.mark.parametrize("scored", [0, 3, 5])
def test_what_a_killed_process_left_goes_on_to_the_same_rows(preparer, predicted, scored, lines):
    """Some lines with a score, as a former version wrote them; then some without one; then none."""
    unscored = predicted.predictions.read_bytes().splitlines(keepends=True)
    evaluation.score(predicted)
    whole = predicted.predictions.read_bytes()
    predicted.predictions.write_bytes(b"".join([*whole.splitlines(keepends=True)[:scored], *unscored[scored:lines]]))

    predict(preparer, predicted)
    evaluation.score(predicted)
    assert _rows_by_id(predicted.predictions.read_bytes()) == _rows_by_id(whole)
    assert predicted.predictions.read_bytes() == whole or lines < 12


def _rows_by_id(content):
    """Without log-probabilities, whose last digits depend on the rows that were decoded beside them."""
    rows = map(json.loads, content.splitlines())
    return {row["id"]: {**row, "log_probability": round(row["log_probability"], 3)} for row in rows}


def test_perfect_predictions_score_a_hundred_whatever_order_they_were_written_in(preparer, tmp_path):
    prepared = preparer.rows("test", 5, LAYOUT, **ROOM)
    assert isinstance(prepared.examples, datasets.Dataset)
    member = evaluation.Member(get_task("sample"), prepared, tmp_path / "predictions.jsonl")
    rows = [{"id": e["id"], "prediction": e["target"]} for e in prepared.examples]
    append_rows(member.predictions, rows[::-1])
    scores = evaluation.score(member)
    assert scores.corpus["bleu_unifiedskg"] == scores.corpus["bleu_official"] == pytest.approx(100)
    assert scores.rows["bleu_official"].shape == (5, 10)
