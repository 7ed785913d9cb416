"""Monitors of a prompt: sizes, nearest words, and a warning where nothing is learned."""

import numpy as np
import pytest
from tiny import tiny_lm
from tolerances import COSINE, ELEMENTARY, close

from ipt_jax.adapters import monitors


@pytest.mark.parametrize("block", [7, 8192])  # with blocks that do not divide the vocabulary, and with one
def test_the_nearest_word_has_the_largest_cosine_of_the_whole_vocabulary(block):
    lm = tiny_lm()
    ids = lm.tokenizer.ordinary_ids()
    table = np.asarray(lm.decoder.embed(lm.params, ids), np.float64)
    prompt = np.random.default_rng(0).standard_normal((6, 32)).astype(np.float32)
    prompt[2] = 3.0 * table[-1]
    found = monitors.nearest_words(lm, prompt, block=block)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (prompt.astype(np.float64), table)]
    cosines = unit[0] @ unit[1].T
    assert [row["word"] for row in found] == [lm.tokenizer.decode([int(ids[i])]) for i in cosines.argmax(axis=1)]
    close([row["cosine"] for row in found], cosines.max(axis=1), COSINE)
    close(found[2]["cosine"], 1.0, COSINE)


def test_sizes_are_means_over_rows_for_each_member():
    start = np.zeros((2, 3, 4), np.float32)
    moved = start.copy()
    moved[1, 0, :2] = (3.0, 4.0)
    still, other = monitors.sizes(moved, start)
    assert still == {"prompt_norm": 0.0, "prompt_moved": 0.0}
    close([other["prompt_norm"], other["prompt_moved"]], [5 / 3, 5 / 3], ELEMENTARY)


def test_a_prompt_about_to_blow_up_still_has_a_finite_size():
    (size,) = monitors.sizes(np.full((1, 2, 4), 3e38, np.float32), np.zeros((1, 2, 4), np.float32))
    assert np.isfinite(size["prompt_norm"]) and np.isfinite(size["prompt_moved"])


def measured(*values):
    """Metrics with (step, dev loss, distance moved) of a prompt of length 2."""
    rows = [{"step": s, "dev_loss": d, "prompt_norm": 2.0, "prompt_moved": m} for s, d, m in values]
    return [*rows, {"step": 999, "loss": 1.0}]


def test_a_prompt_that_stands_still_is_reported_with_the_fix():
    text = monitors.complaint(measured((0, 3.0, 0.0), (50, 3.0, 1e-7)), after=50)
    assert "after 50 steps the prompt has not moved" in text and "learning_rate" in text


def test_a_loss_that_stays_that_of_the_untuned_prompt_is_reported():
    text = monitors.complaint(measured((0, 3.0, 0.0), (60, 3.00001, 0.5)), after=50)
    assert "after 60 steps the dev loss, 3.0000, is still that of the untuned prompt" in text


@pytest.mark.parametrize(
    "rows",
    [
        measured((0, 3.0, 0.0), (49, 3.0, 0.0)),  # too early to tell
        measured((0, 3.0, 0.0), (50, 2.0, 0.5)),  # it learns
        measured((0, 3.0, 0.0), (50, 3.0, 0.5), (100, 2.0, 0.5)),  # it learns by now
        measured((0, 3.0, 0.0)),
        [],
    ],
)
def test_nothing_is_said_of_a_run_that_learns_or_has_just_begun(rows):
    assert monitors.complaint(rows, after=50) is None
