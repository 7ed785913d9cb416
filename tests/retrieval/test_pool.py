"""What all retrievers share: nothing leaks, draws depend on (id, seed) alone, finished searches are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict, FrozenConfigDict
from retrieval_oracle import pool_of
from tiny import tiny_lm

from ipt_jax import seeds
from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment import expand, run
from ipt_jax.retrieval import Pool, Retrieval, bm25_neighbours, dense_neighbours, kept_neighbours, random_neighbours
from ipt_jax.retrieval.cache import digest
from ipt_jax.rows.layout import Layout
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks import get_task


def letters(texts):
    """A tiny embedding: how often each letter occurs."""
    return np.array([[text.count(c) for c in "abcde"] for text in texts], np.float32) + 0.01


FIND = {
    "random": lambda *args, **options: random_neighbours(*args, seed=0, **options),
    "bm25": bm25_neighbours,
    "dense": lambda *args, **options: dense_neighbours(*args, embed=letters, **options),
}


@pytest.mark.parametrize("retriever", FIND)
@pytest.mark.parametrize("exclude", [True, False])
def test_an_example_never_demonstrates_itself_nor_by_default_its_duplicate(retriever, exclude):
    texts = ["a b c", "a b c", "a b d", "a c e", "a d e"]
    pool = pool_of(texts)
    found = FIND[retriever](pool, pool, 3, exclude_duplicates=exclude)
    for i, neighbours in enumerate(found.indices):
        assert i not in neighbours and len(set(neighbours.tolist())) == 3
        if exclude:
            assert texts[i] not in [texts[n] for n in neighbours]
    if not exclude and retriever != "random":
        assert found.indices[0][0] == 1
    assert found.duplicates_excluded == (2 if exclude else 0)


@given(st.lists(st.sampled_from(["x", "y", "z"]), min_size=3, max_size=30), st.integers(1, 2), st.booleans())
def test_a_random_draw_is_the_first_of_a_shuffled_pool_that_may_be_shown(texts, k, exclude):
    pool = pool_of(texts)
    order = {id: seeds.rng(0, "demonstration", id).permutation(len(texts)) for id in pool.ids}
    allowed = [
        [e for e in order[id] if pool.ids[e] != id and not (exclude and texts[e] == text)]
        for id, text in zip(pool.ids, texts, strict=True)
    ]
    if min(map(len, allowed)) < k:
        with pytest.raises(InputError, match=r"layout\.demonstrations"):
            random_neighbours(pool, pool, k, seed=0, exclude_duplicates=exclude)
        return
    found = random_neighbours(pool, pool, k, seed=0, exclude_duplicates=exclude)
    assert found.indices.tolist() == [row[:k] for row in allowed]


def test_a_random_draw_depends_on_the_examples_id_and_the_seed_alone():
    pool = pool_of(f"text {i}" for i in range(50))
    many = pool_of((f"query {i}" for i in range(9)), "test")
    one = Pool(["test:6"], ["query 6"])
    all_drawn = random_neighbours(many, pool, 2, seed=0)
    assert all_drawn.similarities is None
    assert (random_neighbours(one, pool, 2, seed=0).indices[0] == all_drawn.indices[6]).all()
    assert (random_neighbours(many, pool, 2, seed=1).indices != all_drawn.indices).any()


@pytest.mark.parametrize("retriever", FIND)
@pytest.mark.parametrize(("texts", "k"), [(["a b c", "a b d"], 2), (["a b c", "a b d"], 3), (["a", "a", "a"], 1)])
def test_too_few_examples_to_show_is_an_error_that_names_the_example(retriever, texts, k):
    pool = pool_of(texts)
    with pytest.raises(InputError, match=rf"layout\.demonstrations={k}.*train:0.*raise limit\.train"):
        FIND[retriever](pool, pool, k)


def test_a_finished_search_is_read_back_unless_anything_differs(tmp_path):
    pool, searches = pool_of(["a b", "a c", "b c"]), []

    def find():
        searches.append(1)
        return bm25_neighbours(pool, pool, 2)

    first = kept_neighbours(tmp_path, ["bm25", "2"], pool, pool, find)
    again = kept_neighbours(tmp_path, ["bm25", "2"], pool, pool, find)
    assert len(searches) == 1
    assert (again.indices == first.indices).all() and (again.similarities == first.similarities).all()
    assert again.duplicates_excluded == first.duplicates_excluded
    other_id = Pool(["train:0", "train:1", "train:9"], pool.inputs)
    for settings, queries in ((["bm25", "1"], pool), (["bm25", "2"], other_id)):
        kept_neighbours(tmp_path, settings, queries, pool, find)
    assert len(searches) == 3


def test_what_lies_where_neighbours_should_be_kept_gives_way_or_is_told(tmp_path):
    pool = pool_of(["a b", "a c", "b c"])
    find = lambda: bm25_neighbours(pool, pool, 2)  # noqa: E731
    kept_neighbours(tmp_path / "cache", ["bm25"], pool, pool, find)
    (path,) = (tmp_path / "cache").iterdir()
    path.unlink()
    path.mkdir()
    kept_neighbours(tmp_path / "cache", ["bm25"], pool, pool, find)
    assert path.is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written .* config\.execution\.cache_dir"):
        kept_neighbours(tmp_path / "file", ["bm25"], pool, pool, find)


@pytest.mark.parametrize("damage", range(-1, 12))
def test_a_damaged_file_of_neighbours_is_made_anew_with_a_warning(tmp_path, caplog, damage):
    pool, searches = pool_of(["a b", "a c", "b c"]), []

    def find():
        searches.append(1)
        return bm25_neighbours(pool, pool, 2)

    first = kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    (path,) = tmp_path.glob("*.npz")
    content = bytearray(path.read_bytes())
    if damage < 0:
        del content[len(content) // 2 :]
    else:
        content[damage * len(content) // 12] ^= 0x10
    path.write_bytes(bytes(content))
    again = kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    assert (again.indices == first.indices).all() and (again.similarities == first.similarities).all()
    assert len(searches) == 1 or "made anew" in caplog.text
    kept_neighbours(tmp_path, ["bm25"], pool, pool, find)
    assert len(searches) <= 2


@pytest.mark.parametrize("retriever", FIND)
def test_a_query_of_another_split_with_the_same_id_is_no_entry_of_the_pool(retriever):
    texts = ["a b c", "b c d", "a d e"]
    pool = Pool(["0", "1", "2"], texts)
    queries = Pool(["0", "1", "2"], [f"{text} z" for text in texts], "test")
    found = FIND[retriever](queries, pool, 3)
    assert found.duplicates_excluded == 0
    assert all(set(row) == {0, 1, 2} for row in found.indices.tolist())
    if retriever != "random":
        assert found.indices[:, 0].tolist() == [0, 1, 2]


@given(st.lists(st.lists(st.text(max_size=3), max_size=3), max_size=3), st.integers(0, 10), st.integers(0, 3))
def test_a_digest_changes_when_text_moves_between_neighbours(groups, cut, place):
    joined = [[*group] for group in groups]
    flat = "".join(text for group in groups for text in group)
    split = [*joined, [flat[:cut], flat[cut:]]]
    whole = [*joined, [flat]]
    assert digest(*split) != digest(*whole)
    assert digest(*split[:place], [], *split[place:]) != digest(*split)
    assert digest(*split) == digest(*(tuple(group) for group in split))


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
