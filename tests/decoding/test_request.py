"""Requests: each is asked for itself, and comes out beside its own answers."""

import jax.numpy as jnp
import pytest
from decoding_oracle import LMS, PROMPTS, SEARCH, decode

from ipt_jax.decoding.generation import generate
from ipt_jax.decoding.request import Request
from ipt_jax.errors import InputError

LM = LMS["gpt2"]


def test_the_same_row_asked_for_twice_is_answered_twice():
    twice = [Request([1, 2, 3], 1), Request([1, 2, 3], 1)]
    answered = [pair for batch in generate(LM, jnp.asarray(PROMPTS), twice, SEARCH, batch_size=2) for pair in batch]
    assert {id(request) for request, _ in answered} == set(map(id, twice))
    (alone,) = decode(LM, PROMPTS, [(1, [1, 2, 3])])
    assert [answer.tokens for _, answer in answered] == [alone.tokens] * 2


def test_a_request_that_does_not_fit_is_called_by_its_name():
    positions = LM.decoder.config.max_positions
    requests = [Request([1]), Request([1] * positions, name="in.jsonl, id 'long'")]
    with pytest.raises(InputError, match=r"^in.jsonl, id 'long': 3 prompt rows \+"):
        list(generate(LM, jnp.asarray(PROMPTS), requests, SEARCH))
