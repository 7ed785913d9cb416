"""Retrievers by name, and what a run's layout shows by them."""

import pytest
from ml_collections import ConfigDict, FrozenConfigDict
from tiny import tiny_lm

from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment import expand, run
from ipt_jax.retrieval import Retrieval
from ipt_jax.rows.layout import Layout
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks import get_task


@pytest.fixture(scope="module")
def preparer(tmp_path_factory):
    return Preparer(tiny_lm(max_position_embeddings=2048), get_task("sample"), tmp_path_factory.mktemp("cache"))


def rows(preparer, how="bm25", k=2, **options):
    layout = Layout(retrieval=Retrieval(how, k, train_limit=60, **options))
    return preparer.rows("test", 8, layout, budget=2000, with_target=False).rows


@pytest.mark.parametrize("retriever", ["bm25", "dense"])
def test_the_nearest_stands_beside_the_input_and_the_farthest_ones_are_less_similar(preparer, retriever):
    near = rows(preparer, retriever)
    far = rows(preparer, retriever, selection="farthest")
    assert near != far
    for nearest, farthest in zip(near, far, strict=True):
        (second, first), (less_far, farther) = (
            [demonstration.similarity for demonstration in row.demonstrations] for row in (nearest, farthest)
        )
        assert first >= second >= less_far >= farther and first > farther


def test_a_second_process_reads_neighbours_from_the_cache(preparer, monkeypatch):
    first = rows(preparer)
    monkeypatch.setattr("ipt_jax.retrieval.bm25._search", None)
    another = Preparer(preparer.lm, preparer.task, preparer.cache_dir)
    assert [row.demonstrations for row in rows(another)] == [row.demonstrations for row in first]
    with pytest.raises(TypeError):
        rows(another, k=1)


def run_of(**layout):
    config = common.get_config()
    config.runs = ConfigDict({"a": {"layout": layout}})
    ((name, settings),) = expand.expand(config)
    return run.Run(name, FrozenConfigDict(settings), "data")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"selection": "furthest"}, r"layout\.selection='furthest' is unknown; choose one of nearest, farthest"),
        (
            {"retriever": "sentence_transformer"},
            r"layout\.encoder='' must be the folder of a sentence-",
        ),
    ],
)
def test_a_retriever_setting_that_cannot_be_says_what_and_where(layout, message):
    with pytest.raises(InputError, match=message):
        run_of(demonstrations=1, **layout)


def test_a_selection_or_encoder_that_cannot_matter_is_no_part_of_a_runs_id():
    assert run_of(selection="farthest", encoder="x").id == run_of().id
    random = {"demonstrations": 1, "retriever": "random"}
    assert run_of(**random, selection="farthest").id == run_of(**random).id
    dense, encoder = {"demonstrations": 1}, {"demonstrations": 1, "retriever": "sentence_transformer"}
    assert run_of(**dense, encoder="x").id == run_of(**dense).id
    assert run_of(**dense, selection="farthest").id != run_of(**dense).id
    assert run_of(**encoder, encoder="x").id != run_of(**encoder, encoder="y").id
    assert "selection" not in run_of(**dense).identity()["layout"]  # ids from before it existed stay


def test_a_table_tells_least_similar_demonstrations_from_retrieved_ones():
    assert run_of(demonstrations=1, retriever="bm25").method == "ICL, retrieved one-shot"
    assert run_of(demonstrations=3, retriever="bm25", selection="farthest").method == "ICL, least similar three-shot"
    assert run_of(demonstrations=1, retriever="random", selection="farthest").method == "ICL, random one-shot"
