"""Rules on the next token's scores: transformers' own processors on random scores, and a slow way to say the same."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import GOLDEN
from search_settings import PROCESSORS
from tolerances import ELEMENTARY, close

from ipt_jax.decoding.processors import Processors

ANSWERS = GOLDEN / "processors.npz"
# The settings of ours that mean what each of PROCESSORS means.
OURS = {
    "repetition_penalty": Processors(repetition_penalty=1.7),
    "no_repeated_token": Processors(no_repeat_ngram_size=1),
    "no_repeated_pair": Processors(no_repeat_ngram_size=2),
    "no_repeated_triple": Processors(no_repeat_ngram_size=3),
    "min_new_tokens": Processors(min_new_tokens=3),
    "min_new_tokens_reached": Processors(min_new_tokens=2),
}


def apply(processors, scores, rows, written, room=6, width=14, ends=()):
    """Scores f32[B, W, V] for inputs of any lengths and what each of their beams wrote."""
    tokens = np.full((len(rows), width), 1, np.int32)  # padding that would change the answer if it were read
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    buffer = np.zeros((*np.shape(written)[:2], room), np.int32)
    buffer[:, :, : np.shape(written)[2]] = written
    is_end = np.isin(np.arange(scores.shape[-1]), ends)
    lengths, count = np.array([len(ids) for ids in rows], np.int32), jnp.int32(np.shape(written)[2])
    return np.asarray(processors(jnp.asarray(scores), jnp.asarray(tokens), lengths, buffer, count, is_end))


# Two of the ids are written ones where that matters; elsewhere the place of the border must not matter.
@pytest.mark.parametrize(
    ("name", "written"), [(n, w) for n in PROCESSORS for w in ((2,) if n.startswith("min_new") else (0, 2, 5))]
)
def test_each_rule_gives_what_transformers_makes_of_the_same_scores(name, written):
    with np.load(ANSWERS) as golden:
        ids, scores, expected = golden["ids"], golden["scores"], golden[name]
    count = ids.shape[1] - written
    got = apply(OURS[name], scores[:, None], ids[:, :count], ids[:, None, count:], ends=(5, 7))[:, 0]
    close(got, expected, ELEMENTARY)
    assert (expected != scores).any() == (name != "min_new_tokens_reached")


@settings(max_examples=25)
@given(data=st.data())
def test_rows_and_beams_of_any_lengths_are_treated_as_each_alone(data):
    token, size = st.integers(0, 4), data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(token, max_size=14), min_size=2, max_size=2))
    count = data.draw(st.integers(0, 6))
    written = [[data.draw(st.lists(token, min_size=count, max_size=count)) for _ in range(2)] for _ in rows]
    scores = np.random.default_rng(count).standard_normal((2, 2, 7)).astype(np.float32)
    rules = Processors(repetition_penalty=1.5, no_repeat_ngram_size=size)
    got = apply(rules, scores, rows, np.array(written, np.int32).reshape(2, 2, count))
    for b, row in enumerate(rows):
        for w in range(2):
            history, expected = [*row, *written[b][w]], scores[b, w].copy()
            for id in set(history):
                expected[id] *= 1.5 if expected[id] < 0 else 1 / 1.5
            ngrams = [tuple(history[i : i + size]) for i in range(len(history) - size + 1)]
            for id in range(7):
                if len(history) >= size - 1 and (*history[len(history) - size + 1 :], id) in ngrams:
                    expected[id] = -np.inf
            close(got[b, w], expected, ELEMENTARY)


def test_without_a_rule_the_scores_are_the_very_same_array():
    scores = jnp.zeros((1, 1, 3))
    assert Processors()(scores, None, None, None, None, None) is scores
