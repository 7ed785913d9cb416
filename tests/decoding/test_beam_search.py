"""Beam search against the invariants of a cache that beams share; against Hugging Face's: test_generation_golden."""

import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, decode, logits_of, oracle
from tolerances import ELEMENTARY, LOG_PROBABILITY, close

from ipt_jax.decoding.settings import Search


@pytest.mark.parametrize("family", ["llama", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_a_row_alone_equals_the_row_in_any_batch_under_its_own_prompt(family):
    random = np.random.default_rng(0)
    work = [(i % 2, random.integers(1, 200, size=n).tolist()) for i, n in enumerate((20, 40, 17, 30))]
    search = Search(max_new_tokens=6, num_beams=3)
    for row, together in zip(work, decode(LMS[family], PROMPTS, work, search, batch_size=8), strict=True):
        if len(row[1]) > 32:  # it makes the batch wide; the others share a program where they are alone
            continue
        (alone,) = decode(LMS[family], PROMPTS, [row], search, batch_size=8)
        assert alone.tokens == together.tokens and alone.stop == together.stop
        close(alone.log_probability, together.log_probability, LOG_PROBABILITY)


def test_the_log_probabilities_are_those_of_the_tokens_by_the_whole_sequence():
    lm, search = LMS["llama"], Search(max_new_tokens=6, num_beams=4, repetition_penalty=1.5)
    for prompt, tokens in ((0, [5, 6, 7]), (1, [9] * 12)):
        (found,) = decode(lm, PROMPTS, [(prompt, tokens)], search)
        logits = logits_of(lm, PROMPTS[prompt], [*tokens, *found.tokens])
        logits -= np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        first = PROMPTS.shape[1] + len(tokens) - 1
        expected = [logits[first + i, token] for i, token in enumerate(found.tokens)]
        close(found.token_log_probabilities, expected, LOG_PROBABILITY)
        close(found.log_probability, sum(expected), LOG_PROBABILITY)


def test_without_a_length_penalty_a_beam_never_finds_less_than_greedy_search_on_these_rows():
    lm = LMS["gpt2"]
    search = Search(max_new_tokens=6, num_beams=4, length_penalty=0.0)
    work = [(0, [token]) for token in range(1, 20)]
    for (_, tokens), found in zip(work, decode(lm, PROMPTS, work, search, batch_size=8), strict=True):
        greedy = oracle(lm, PROMPTS[0], tokens, 6)[1]
        assert found.log_probability >= greedy - LOG_PROBABILITY.limit * max(1.0, -greedy)
        close(found.score, found.log_probability, ELEMENTARY)
