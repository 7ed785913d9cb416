"""Rows of several adapters decoded together: trained keys and values, changed maps, each against the long way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapter_samples import merged, random_lora
from decoding_oracle import LMS, PROMPTS, decode, requests_of
from tolerances import LOG_PROBABILITY, close

from ipt_jax.adapters import lora, prefix
from ipt_jax.decoding import generation, likelihood
from ipt_jax.decoding.settings import Search

SEARCHES = [Search(max_new_tokens=9), Search(max_new_tokens=9, num_beams=3)]
# Rows of both members in turn: some alike in their beginnings, one of a single token.
WORK = [(i % 2, [5, 6, 7, 8, *range(20 + i, 20 + i + i % 4)]) for i in range(9)] + [(1, [3])]


def answers(lm, adapters, work, search):
    found = dict.fromkeys(requests_of(work))
    for batch in generation.generate(lm, adapters, list(found), search, batch_size=4):
        found.update(batch)
    return list(found.values())


def equal(ours, wanted):
    assert [each.tokens for each in ours] == [each.tokens for each in wanted]
    close([each.log_probability for each in ours], [each.log_probability for each in wanted], LOG_PROBABILITY)


def made(lm):
    """The prompts' own keys and values, as a prefix of each member."""
    pair = jax.jit(lambda rows: lm.decoder.beginning(lm.params, rows))(jnp.asarray(PROMPTS))
    return prefix.inject(dict(zip(("keys", "values"), (x.swapaxes(0, 1) for x in pair), strict=True)))


@pytest.mark.parametrize("search", SEARCHES, ids=["greedy", "beams"])
@pytest.mark.parametrize("name", sorted(LMS))
def test_keys_and_values_of_prompt_rows_are_continued_as_these_rows_are(name, search):
    lm = LMS[name]
    equal(answers(lm, made(lm), WORK, search), decode(lm, PROMPTS, WORK, search))


def test_beginnings_that_rows_share_behind_a_prefix_change_no_answer(monkeypatch):
    from ipt_jax.decoding import shared_beginnings

    lm, search = LMS["gpt2"], SEARCHES[0]
    plain = answers(lm, made(lm), WORK[:9], search)
    monkeypatch.setattr(shared_beginnings, "_WORTH", 1)
    shared, index = shared_beginnings.share_prefix(lm.decoder, lm.params, made(lm), requests_of(WORK[:9]))
    assert (shared.tokens, shared.prompt_rows, len(set(index))) == (
        3,
        PROMPTS.shape[1],
        2,
    )
    equal(answers(lm, made(lm), WORK[:9], search), plain)


@pytest.mark.parametrize("search", SEARCHES, ids=["greedy", "beams"])
@pytest.mark.parametrize("name", sorted(LMS))
def test_a_row_under_its_lora_is_continued_as_by_its_own_merged_weights(name, search):
    lm = LMS[name]
    folded = random_lora(lm.decoder.config, members=2)
    together = answers(lm, lora.inject(folded), WORK, search)
    none = np.zeros((1, 0, PROMPTS.shape[-1]), np.float32)
    for k in range(2):
        one = jax.tree.map(lambda x, k=k: x[k], folded)
        own = dataclasses.replace(lm, params=merged(lm.params, one))
        mine = [i for i, (member, _) in enumerate(WORK) if member == k]
        alone = decode(own, none, [(0, WORK[i][1]) for i in mine], search)
        equal([together[i] for i in mine], alone)


@pytest.mark.parametrize("kind", ["prefix", "lora"])
def test_what_was_written_is_as_likely_as_the_score_of_given_continuations_says(kind):
    lm = LMS["gpt2"]
    adapters = made(lm) if kind == "prefix" else lora.inject(random_lora(lm.decoder.config, members=2))
    for k in range(2):
        mine = [tokens for member, tokens in WORK if member == k]
        written = answers(lm, adapters, [(k, tokens) for tokens in mine], SEARCHES[0])
        one = jax.tree.map(lambda x, k=k: x[k : k + 1], adapters)
        pairs = [(tokens, answer.tokens) for tokens, answer in zip(mine, written, strict=True)]
        for i, scored in likelihood.score(lm.decoder, lm.params, one, pairs, batch_size=4):
            close(scored.token_log_probabilities, written[i].token_log_probabilities, LOG_PROBABILITY)
