"""Attention by the library against attention written out, for every rule that a family has."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_cases import GROUPS, HEADS, LENGTH, RULES, obvious, random_heads
from tolerances import ATTENTION, ATTENTION_BFLOAT16, close

from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import plain_attention


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


def test_cudnn_gets_even_lengths_wherever_it_would_have_to_differentiate_a_bias(rule, monkeypatch):
    library = jax.nn.dot_product_attention

    def stand_in(query, *args, bias, mask, implementation, **settings):
        assert implementation == "cudnn"
        assert query.shape[1] == (LENGTH if bias is None and mask is None else LENGTH + 1)
        return library(query, *args, bias=bias, mask=mask, implementation="xla", **settings)

    query, key, value = random_heads(0, 2, LENGTH, HEADS), *(random_heads(i, 2, LENGTH, GROUPS) for i in (1, 2))
    monkeypatch.setattr(jax.nn, "dot_product_attention", stand_in)
    ours = causal_attention(query, key, value, rule, implementation="cudnn")
    close(ours, obvious(query, key, value, rule), ATTENTION)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cudnn needs an NVIDIA GPU")
def test_cudnn_gives_result_and_gradients_of_attention_written_out(rule):
    shapes = [(2, LENGTH, heads) for heads in (HEADS, GROUPS, GROUPS)]
    inputs = [random_heads(i, *shape).astype(jnp.bfloat16) for i, shape in enumerate(shapes)]
    weights = random_heads(3, 2, LENGTH, HEADS)

    def answers(attend):
        def loss(*inputs):
            return jnp.sum(attend(*inputs, rule).astype(jnp.float32) * weights)

        return attend(*inputs, rule), *jax.grad(loss, argnums=(0, 1, 2))(*inputs)

    ours = answers(functools.partial(causal_attention, implementation="cudnn"))
    for x, y in zip(ours, answers(plain_attention), strict=True):
        x, y = (np.asarray(z, np.float32) for z in (x, y))
        close(x, y, ATTENTION_BFLOAT16)


def test_both_ways_of_causal_attention_equal_the_obvious_one(rule):
    query, key, value = random_heads(0, 2, LENGTH, HEADS), *(random_heads(i, 2, LENGTH, GROUPS) for i in (1, 2))
    expected = obvious(query, key, value, rule)
    for attention in (causal_attention, plain_attention):
        close(attention(query, key, value, rule), expected, ATTENTION)
