"""Sampling: who may be drawn as transformers has it, how often, and that a row's draws are its own."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, M, decode, requests_of
from paths import GOLDEN
from search_settings import WARPERS
from tolerances import ELEMENTARY, close

from ipt_jax.decoding import generation
from ipt_jax.decoding.sampling import Sampling, row_keys
from ipt_jax.decoding.settings import Search

ANSWERS = GOLDEN / "processors.npz"
OURS = {
    "temperature": Sampling(temperature=0.7, top_k=0),
    "top_k": Sampling(top_k=5),
    "top_p": Sampling(top_k=0, top_p=0.8),
    "top_p_of_one_token": Sampling(top_k=0, top_p=0.01),
}
# Wide enough that draws differ, so that equal ones mean equal keys.
DRAWN = functools.partial(Search, M, do_sample=True, temperature=3.0, top_k=0)
WORK = [(i % 2, [5 + i] * n) for i, n in enumerate((3, 20, 9, 14, 30))]
IDS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("name", WARPERS)
def test_what_may_be_drawn_is_what_transformers_leaves(name):
    with np.load(ANSWERS) as golden:
        close(OURS[name].warp(jnp.asarray(golden["scores"])), golden[name], ELEMENTARY)


def test_rules_are_applied_in_the_order_temperature_top_k_top_p():
    scores = jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1]))
    kept = lambda **settings: np.isfinite(Sampling(**settings).warp(scores)).tolist()  # noqa: E731
    # Of the two most probable tokens the first has 2/3, which reaches 0.6; of all tokens it has 1/2, which does not.
    assert kept(top_k=2, top_p=0.6) == [True, False, False, False]
    assert kept(top_k=0, top_p=0.6) == [True, True, False, False]
    # A temperature of 1/2 squares the probabilities: the first has 0.72 of the sum then.
    assert kept(temperature=0.5, top_k=0, top_p=0.6) == [True, False, False, False]


def test_tokens_are_drawn_as_often_as_they_are_probable():
    probabilities = np.array([0.4, 0.3, 0.2, 0.07, 0.03])
    count = 20_000
    keys = row_keys(0, ["one row"], count)
    scores = jnp.broadcast_to(jnp.log(probabilities), (1, count, 5))
    drawn = np.asarray(Sampling(top_k=4).draw(scores, keys, jnp.zeros((1, count), jnp.int32)))[0]
    expected = np.array([0.4, 0.3, 0.2, 0.07, 0.0]) / 0.97 * count
    found = np.bincount(drawn, minlength=5)
    assert found[4] == 0
    # Five standard deviations of a binomial count.
    assert (np.abs(found - expected)[:4] < 5 * np.sqrt(expected)[:4]).all()


def test_steps_and_rows_and_seeds_draw_independently():
    scores = jnp.zeros((2, 1, 1000))
    draw = lambda keys, step: np.asarray(Sampling(top_k=0).draw(scores, keys, jnp.full((2, 1), step)))  # noqa: E731
    keys = row_keys(0, ["a", "b"])
    drawn = [*draw(keys, 0).ravel(), *draw(keys, 1).ravel(), *draw(row_keys(1, ["a", "b"]), 0).ravel()]
    assert len(set(drawn)) == 6 and draw(keys, 0).tolist() == draw(keys, 0).tolist()


def test_a_rows_draws_are_the_same_in_any_batch_and_order_and_change_with_the_seed():
    lm = LMS["llama"]
    together = decode(lm, PROMPTS, WORK, DRAWN(), batch_size=8, ids=IDS)
    backwards = decode(lm, PROMPTS, WORK[::-1], DRAWN(), batch_size=8, ids=IDS[::-1])
    assert [g.tokens for g in together] == [g.tokens for g in backwards][::-1]
    alone = decode(lm, PROMPTS, WORK[2:3], DRAWN(), batch_size=8, ids=IDS[2:3])[0]
    assert alone.tokens == together[2].tokens and alone.log_probability < 0
    others = decode(lm, PROMPTS, WORK, DRAWN(seed=1), batch_size=8, ids=IDS)
    assert all(one.tokens != other.tokens for one, other in zip(together, others, strict=True))


def test_only_one_token_to_draw_from_is_the_most_probable_one():
    scores = np.random.default_rng(0).standard_normal((4, 2, 9)).astype(np.float32)
    drawn = Sampling(top_k=1).draw(jnp.asarray(scores), row_keys(0, "abcd", 2), jnp.zeros((4, 2), jnp.int32))
    assert np.asarray(drawn).tolist() == scores.argmax(-1).tolist()


def test_several_draws_of_a_row_differ_and_the_first_is_that_of_a_single_draw():
    lm = LMS["llama"]
    several = [[] for _ in WORK]
    requests = requests_of(WORK, IDS)
    for batch in generation.generate(lm, jnp.asarray(PROMPTS), requests, DRAWN(num_return_sequences=3), batch_size=8):
        for request, generated in batch:
            several[requests.index(request)].append(generated.tokens)
    assert [len(set(answers)) for answers in several] == [3] * len(WORK)
    single = decode(lm, PROMPTS, WORK, DRAWN(), batch_size=8, ids=IDS)
    assert [answers[0] for answers in several] == [g.tokens for g in single]
