"""A prefix that is run once for many rows changes nothing but the time."""

import jax.numpy as jnp
import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, requests_of
from decoding_oracle import decode as answers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import load_case
from one_batch import decode
from tolerances import LOG_PROBABILITY, WRITTEN_SCORE, close

from ipt_jax.decoding import shared_beginnings
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.shared_beginnings import Prefix, best_cut, share_prefix


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 1), min_size=1, max_size=6)), min_size=1),
    st.integers(0, 3),
    st.integers(1, 40),
)
def test_no_other_cut_saves_more_positions(work, prompt_rows, most):
    def saved(cut):
        beginnings = len({(prompt, tuple(tokens[:cut])) for prompt, tokens in work})
        positions = prompt_rows + cut
        return (len(work) - beginnings) * positions if beginnings * positions <= most else 0

    cut, beginnings = best_cut(work, prompt_rows, most)
    shortest = min(len(tokens) for _, tokens in work)
    assert cut < shortest
    assert (len(work) - beginnings) * (prompt_rows + cut) == max(saved(c) for c in range(shortest))


def test_rows_without_tokens_share_nothing_because_none_would_be_left_over():
    assert best_cut([(0, []), (0, [1])], 3) == (0, 2)


def rows_of(random, prompts, starts, count):
    """Rows that begin with their prompt's own start."""
    return [(i % prompts, [*starts[i % prompts], *random.integers(1, 200, 1 + i).tolist()]) for i in range(count)]


# The penalty looks at the tokens that a prefix covers too.
@pytest.mark.parametrize(
    ("family", "prompt_rows", "search"),
    [("gpt2", 3, Search(6, repetition_penalty=1.5)), ("llama", 0, Search(6, num_beams=3))],
    ids=["penalised greedy", "beams"],
)
def test_the_same_tokens_come_out_with_and_without_a_shared_prefix(family, prompt_rows, search, monkeypatch):
    lm, random = LMS[family], np.random.default_rng(0)
    work = rows_of(random, 2, [[7, 8, 9, 10] * 10, [3] * 40], 6)
    work += [(0, [6] * 40 + [i]) for i in range(1, 4)]  # a second demonstration under the first prompt
    apart = answers_of(lm, PROMPTS[:, :prompt_rows], work, search)
    monkeypatch.setattr(shared_beginnings, "_WORTH", 1)
    shared, index = share_prefix(lm.decoder, lm.params, jnp.asarray(PROMPTS[:, :prompt_rows]), requests_of(work))
    assert isinstance(shared, Prefix) and sorted(set(index)) == [0, 1, 2]
    for ours, expected in zip(answers_of(lm, PROMPTS[:, :prompt_rows], work, search), apart, strict=True):
        assert ours.tokens == expected.tokens
        close(ours.log_probability, expected.log_probability, LOG_PROBABILITY)


@pytest.mark.parametrize("case", ["bloom", "gemma3"])  # distances that count, and windows that a prefix reaches out of
def test_other_positions_and_windows_see_a_prefix_where_it_stands(case, monkeypatch):
    decoder, params, golden = load_case(case)
    random, prompts = np.random.default_rng(0), jnp.asarray(golden["prompt"])[None]
    vocabulary = decoder.config.vocab_size
    tokens = random.integers(1, vocabulary, (3, 20)).astype(np.int32)
    tokens[:, :12] = tokens[0, :12]
    work = [(0, row.tolist()) for row in tokens]
    rest = (jnp.zeros(3, jnp.int32), tokens, np.array([20, 14, 17], np.int32), np.zeros(vocabulary, np.int32), None)
    apart = decode(decoder, params, prompts, *rest, Search(5), end_tokens=1)
    monkeypatch.setattr(shared_beginnings, "_WORTH", 1)
    shared, _ = share_prefix(decoder, params, prompts, requests_of(work))
    assert shared.tokens == 12 and shared.prompt_rows == len(golden["prompt"])
    together = decode(decoder, params, shared, *rest, Search(5), end_tokens=1)
    np.testing.assert_array_equal(together.tokens, apart.tokens)
    close(together.score, apart.score, WRITTEN_SCORE)


def test_a_prefix_is_run_apart_only_where_that_saves_enough_positions():
    lm, prompts = LMS["gpt2"], jnp.asarray(PROMPTS)
    few, many = ([(i % 2, [5] * 37 + [i]) for i in range(rows)] for rows in (20, 2 + 4096 // 40 + 1))
    assert share_prefix(lm.decoder, lm.params, prompts, requests_of(few))[0] is prompts
    shared, index = share_prefix(lm.decoder, lm.params, prompts, requests_of(many))
    assert shared.keys.shape[1] == 2 and shared.keys.shape[-1] == 40
    assert index == [prompt for prompt, _ in many]


def test_prefixes_never_take_more_memory_than_they_may():
    lm, prompts = LMS["gpt2"], jnp.asarray(PROMPTS)
    work = [(i % 2, [5] * 37 + [i]) for i in range(400)]
    shared, _ = share_prefix(lm.decoder, lm.params, prompts, requests_of(work))
    size = shared.keys.nbytes + shared.values.nbytes
    smaller, _ = share_prefix(lm.decoder, lm.params, prompts, requests_of(work), budget=size - 1)
    assert smaller.keys.nbytes + smaller.values.nbytes < size
