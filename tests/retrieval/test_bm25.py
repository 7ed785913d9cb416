"""BM25 neighbours: the formula, the words, and the order of a full sort with what may not be shown left out."""

import dataclasses
import math
from unittest import mock

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import FULL, whole_release
from retrieval_oracle import cases, expected, pool_of
from tolerances import BM25, close

from ipt_jax.errors import InputError
from ipt_jax.retrieval import SELECTIONS, Pool, bm25, bm25_neighbours
from ipt_jax.retrieval.bm25 import METHODS, terms_of
from ipt_jax.tasks.dart import Dart

# At most two different words: sums of two numbers do not depend on their order, so equal scores are equal bits.
TEXTS = st.lists(st.sampled_from("abcde"), max_size=2, unique=True).map(" ".join)


def matrix(queries, pool, **formula):
    """All scores by bm25s's own summation, f32[queries, pool]."""
    index = bm25s.BM25(**formula)
    documents = [terms_of(text) for text in pool.inputs]
    if not any(documents):
        return np.zeros((len(queries.ids), len(documents)), np.float32)
    index.index(documents, show_progress=False)
    nothing = np.zeros(len(documents), np.float32)
    return np.stack([index.get_scores(terms_of(text)) if terms_of(text) else nothing for text in queries.inputs])


@given(
    cases(TEXTS), st.integers(1, 3), st.sampled_from(SELECTIONS), st.booleans(), st.sampled_from(METHODS), st.booleans()
)
def test_bm25_neighbours_are_those_of_a_full_sort(case, k, selection, exclude, method, one_by_one):
    queries, pool = case
    scores = matrix(queries, pool, **dataclasses.asdict(bm25.Formula(method)))
    oracle = expected(queries, pool, scores, k, selection, exclude)
    options = {"formula": bm25.Formula(method), "selection": selection, "exclude_duplicates": exclude}
    with mock.patch.object(bm25, "_SCORES_PER_BLOCK", 1 if one_by_one else 300):
        if oracle is None:
            with pytest.raises(InputError, match=rf"layout\.demonstrations={k}"):
                bm25_neighbours(queries, pool, k, **options)
            return
        found = bm25_neighbours(queries, pool, k, **options)
    indices, similarities, duplicates = oracle
    assert found.indices.tolist() == indices.tolist()
    close(found.similarities, similarities, BM25)
    assert found.duplicates_excluded == duplicates


def test_a_score_is_lucenes_formula_over_the_whole_pool_repetitions_included():
    texts = ["a a b", "b c", "c c c d", "b c", "d"]
    query = ["a", "b", "b", "x"]
    lengths, average = [len(text.split()) for text in texts], sum(len(text.split()) for text in texts) / len(texts)

    def score(text, length):
        total = 0.0
        for word in query:
            df, tf = sum(word in other.split() for other in texts), text.split().count(word)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            total += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * length / average))
        return total

    by_hand = np.array([score(text, length) for text, length in zip(texts, lengths, strict=True)])
    found = bm25_neighbours(Pool(["test:0"], [" ".join(query)]), pool_of(texts), 5)
    assert found.indices[0].tolist() == np.argsort(-by_hand, kind="stable").tolist() == [0, 1, 3, 2, 4]
    close(found.similarities[0], by_hand[found.indices[0]], BM25)


def test_words_are_lower_cased_runs_of_letters_digits_and_underscores_of_any_script():
    assert terms_of("CLUB_NAME : 5 | Éire-x, 東京!") == ["club_name", "5", "éire", "x", "東京"]
    assert terms_of(": | -") == []


@pytest.mark.parametrize("selection", SELECTIONS)
def test_texts_without_any_word_score_0_and_come_in_the_order_of_the_pool(selection):
    pool = pool_of(["!", "?", "#", "?"])
    found = bm25_neighbours(pool, pool, 2, selection=selection)
    assert found.indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 2]]
    assert not found.similarities.any()


def test_an_input_with_more_duplicates_than_demonstrations_still_gets_others():
    pool = pool_of(["a b"] * 60 + ["a c", "c d", "b"])
    found = bm25_neighbours(pool, pool, 3)
    assert sorted(found.indices[0].tolist()) == [60, 61, 62]
    assert found.duplicates_excluded == 60 * 59


def test_a_long_pool_in_many_blocks_gives_what_one_block_gives(monkeypatch):
    random = np.random.default_rng(0)
    pool = pool_of(" ".join(map(str, random.zipf(1.3, 6) % 500)) for _ in range(1500))
    whole = bm25_neighbours(pool, pool, 3)
    monkeypatch.setattr(bm25, "_SCORES_PER_BLOCK", 70 * 1500)
    assert (bm25_neighbours(pool, pool, 3).indices == whole.indices).all()


def test_an_unknown_method_is_an_error():
    with pytest.raises(InputError, match="method='bm25l' of BM25 is unknown; choose one of lucene"):
        bm25.Formula("bm25l")


@whole_release("dart")
@pytest.mark.parametrize("selection", SELECTIONS)
def test_on_all_of_darts_training_inputs_neighbours_are_those_of_a_full_sort(selection):
    pool = Pool(
        *zip(*((example.id, example.input) for example in Dart(FULL / "data" / "dart").read("train")), strict=True)
    )
    chosen = range(0, 62_659, 8_000)
    queries = Pool([pool.ids[i] for i in chosen], [pool.inputs[i] for i in chosen])
    scores = matrix(queries, pool, method="lucene", k1=1.5, b=0.75).astype(np.float64)
    indices, similarities, duplicates = expected(queries, pool, scores, 3, selection, True)
    found = bm25_neighbours(queries, pool, 3, selection=selection)
    close(found.similarities, similarities, BM25)
    # Sums in another order differ in the last bit, so equals may stand in another order: their scores are right.
    close(np.take_along_axis(scores, found.indices, axis=1), similarities, BM25)
    assert (found.indices == indices).mean() > 0.9
    assert found.duplicates_excluded == duplicates


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Loch Fyne : £20-25 | x_1", ["loch", "fyne", "20", "25", "x_1"]),
        ("Zoë's café", ["zoë", "s", "café"]),
        ("भारत की राजधानी", ["भारत", "की", "राजधानी"]),  # vowel signs stay in their words
        ("世界 是圆的。", ["世界", "是圆", "圆的"]),
        ("东", ["东"]),
        ("ราคาBLTสูง", ["รา", "าค", "คา", "blt", "สูง"]),
        ("한국의 수도", ["한국의", "수도"]),  # Korean has blanks
    ],
)
def test_words_are_cut_by_script(text, terms):
    assert terms_of(text) == terms


def test_the_nearest_of_texts_without_blanks_is_found(caplog):
    pool = pool_of(["法国的首都是巴黎", "日本的首都是东京", "水在零度结冰", "猫喜欢吃鱼"])
    queries = Pool(["test:0", "test:1", "test:2"], ["东京在哪里", "水什么时候结冰", "猫喜欢吃什么"], "test")
    found = bm25_neighbours(queries, pool, 1)
    assert found.indices[:, 0].tolist() == [1, 2, 3] and (found.similarities > 0).all()
    assert not caplog.text
    bm25_neighbours(queries, pool, 1, terms="words")
    assert "3 of 3 inputs share no term with any training example" in caplog.text
