"""Scores of given continuations against the logits of the whole sequence, and against what generation reports."""

import numpy as np
import pytest
from tiny import tiny_lm
from tolerances import ELEMENTARY, LOG_PROBABILITY, close

from ipt_jax.errors import InputError
from ipt_jax.language_model import LanguageModel
from ipt_jax.runtime import programs

PROMPT = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
ROWS = [[5, 6, 7], [9] * 30, [], [8], [3, 4]]
CONTINUATIONS = [[10, 11], [12] * 5, [13, 14, 15], [], [16]]


@pytest.fixture(scope="module")
def lm():
    return LanguageModel(tiny_lm())


def test_each_token_has_the_log_probability_that_the_whole_sequence_gives_it(lm):
    scored = lm.score(ROWS, CONTINUATIONS, PROMPT, batch_size=2)
    whole = [row + more for row, more in zip(ROWS, CONTINUATIONS, strict=True)]
    tokens = np.array([row + [0] * (35 - len(row)) for row in whole])
    logits = np.asarray(lm.logits(tokens, np.array([len(row) for row in whole]), PROMPT), np.float64)
    logits -= np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    for i, (row, more, got) in enumerate(zip(ROWS, CONTINUATIONS, scored, strict=True)):
        # `logits` begins at the first token: what the prompt's last row predicts is not there.
        first = 0 if row else 1
        expected = [logits[i, len(row) + j - 1, more[j]] for j in range(first, len(more))]
        close(got.token_log_probabilities[first:], expected, LOG_PROBABILITY)
        assert len(got.token_log_probabilities) == len(more)
        close(got.log_probability, sum(got.token_log_probabilities), ELEMENTARY)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_what_was_generated_scores_what_generation_said(lm, num_beams):
    rows = [row for row in ROWS if row]
    generated = lm.generate(rows, PROMPT, max_new_tokens=4, num_beams=num_beams)
    for got, scored in zip(generated, lm.score(rows, [g.tokens for g in generated], PROMPT), strict=True):
        close(scored.token_log_probabilities, got.token_log_probabilities, LOG_PROBABILITY)
        close(scored.log_probability, got.log_probability, LOG_PROBABILITY)


def test_a_few_batch_shapes_serve_all_rows(lm):
    before = programs.compilations()
    lm.score([[1] * n for n in range(1, 33)], [[2] * (n % 8) for n in range(32)], batch_size=4)
    assert programs.compilations() - before <= 2


@pytest.mark.parametrize(
    ("rows", "continuations", "message"),
    [
        ([[1]], [], "1 rows and 0 continuations"),
        (
            [[1], [1] * 500],
            [[2], [2] * 20],
            r"500 tokens \+ 20 of the continuation must .* 512 positions",
        ),
        ([[]], [[1]], r"0 prompt rows \+ 0 tokens \+ 1 of the continuation must be at least one before it"),
        ([[1]], [[9999]], "token ids reach from 9999 to 9999"),
    ],
)
def test_what_cannot_be_scored_is_refused(lm, rows, continuations, message):
    with pytest.raises(InputError, match=message):
        lm.score(rows, continuations)
