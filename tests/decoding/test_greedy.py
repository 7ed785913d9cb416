"""Greedy decoding against the slow, obvious way: no cache, one row, the whole sequence at each step."""

import dataclasses

import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, RANDOM, SEARCH, M, decode, oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import LOG_PROBABILITY, close

from ipt_jax.decoding.settings import Search

# Stop texts that take one token, several, or either: two letters in any of the tiny vocabulary's pieces.
SPELLED = Search(M, stop=("\n", "the", *(a + b for a in "aeiou" for b in "ntrs")))


AT_ONCE = dataclasses.replace(SPELLED, hold_stop_texts=False)


RULES = Search(M, repetition_penalty=1.4, no_repeat_ngram_size=2, min_new_tokens=3)


# Rows of up to 16 tokens have one width, and so one program decodes them all.
@pytest.mark.parametrize("longest", [16, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("family", "search"), [("gpt2", SEARCH), ("llama", SPELLED), ("llama", AT_ONCE), ("gpt2", RULES)]
)
@settings(max_examples=5)
@given(data=st.data())
def test_a_batch_of_any_lengths_and_prompts_equals_the_oracle_row_by_row(family, search, longest, data):
    lm = LMS[family]
    token = st.integers(1, lm.decoder.config.vocab_size - 1)
    # Three to five rows share one batch size, and so few programs are compiled.
    work = data.draw(
        st.lists(st.tuples(st.integers(0, 1), st.lists(token, min_size=1, max_size=longest)), min_size=3, max_size=5)
    )
    for (prompt, tokens), got in zip(work, decode(lm, PROMPTS, work, search), strict=True):
        expected, log_probability = oracle(lm, PROMPTS[prompt], tokens, M, search)
        assert list(got.tokens) == expected
        close(got.log_probability, log_probability, LOG_PROBABILITY)
        assert sum(got.token_log_probabilities) == got.log_probability


@pytest.mark.parametrize("family", ["llama", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_without_prompt_rows_the_same_path_gives_the_plain_model(family):
    lm = LMS[family]
    work = [(0, [5, 6, 7]), (0, [9] * 30)]
    for (_, tokens), got in zip(work, decode(lm, np.zeros((1, 0, 32), np.float32), work), strict=True):
        assert list(got.tokens) == oracle(lm, np.zeros((0, 32), np.float32), tokens, M)[0]


def test_a_row_alone_equals_the_row_in_any_batch():
    lm = LMS["gpt2"]
    work = [(i % 2, RANDOM.integers(1, 200, size=n).tolist()) for i, n in enumerate((20, 50, 17, 31))]
    together = decode(lm, PROMPTS, work, batch_size=8)
    for row, got in zip(work[::2], together[::2], strict=True):
        alone = decode(lm, PROMPTS, [row], batch_size=1)[0]
        assert alone.tokens == got.tokens and alone.stop == got.stop
        close(alone.log_probability, got.log_probability, LOG_PROBABILITY)
