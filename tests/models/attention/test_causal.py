"""Attention by the library against attention written out, for every rule that a family has."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attention_cases import GROUPS, HEADS, LENGTH, RULES, WIDTH, random_heads
from tolerances import ATTENTION, ATTENTION_BFLOAT16, ELEMENTARY, close

from ipt_jax.models.attention import cached
from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import alibi_slopes, plain_attention


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


def obvious(query, key, value, rule):
    """One query of one head at a time, in float64."""
    query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
    out = np.zeros_like(query)
    for b, t, n in np.ndindex(query.shape[:3]):
        first = 0 if rule.window is None else max(0, t + 1 - int(rule.window))
        group = n // (query.shape[2] // key.shape[2])
        scores = key[b, first : t + 1, group] @ query[b, t, n] * float(rule.scale)
        if rule.softcap is not None:
            scores = rule.softcap * np.tanh(scores / rule.softcap)
        if rule.slopes is not None:
            scores = scores - rule.slopes[n] * (t - np.arange(first, t + 1))
        weights = np.exp(scores - scores.max())
        out[b, t, n] = weights / weights.sum() @ value[b, first : t + 1, group]
    return out


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


@pytest.mark.parametrize("known", [0, 5])
def test_prefill_in_blocks_equals_the_obvious_one_whether_or_not_a_part_came_before(rule, known, monkeypatch):
    monkeypatch.setattr(cached, "_BLOCK", 4)
    query, key, value = random_heads(0, 2, LENGTH, HEADS), *(random_heads(i, 2, LENGTH, GROUPS) for i in (1, 2))
    context = cached.extend(cached.extend(None, key[:, :known], value[:, :known]), key[:, known:], value[:, known:])
    ours = cached.prefill_attention(query[:, known:], context, rule)
    close(ours, obvious(query, key, value, rule)[:, known:], ATTENTION)


def test_a_step_over_the_cache_is_the_last_row_of_the_whole_sequence(rule):
    lengths, step, beams, new = np.array([7, 3]), 2, 3, 4
    keys, values = (random_heads(i, 2, beams, 7 + new, GROUPS) for i in (1, 2))
    keys, values = (x.at[:, :, :3].set(x[:, :1, :3]) for x in (keys, values))  # beams share what both rows have
    query = random_heads(0, 2, beams, HEADS)
    for row, length in enumerate(lengths):
        # Row 0's context is 7 long and its beams' own: give all of them the first beam's.
        keys = keys.at[row, :, :length].set(keys[row, :1, :length])
        values = values.at[row, :, :length].set(values[row, :1, :length])
    context = cached.extend(None, keys[:, 0, :7], values[:, 0, :7])
    (generated,) = cached.empty_segment((context,), beams, new)
    for m in range(step + 1):
        newest = (np.arange(2)[:, None], np.arange(beams)[None], (lengths + m)[:, None])
        generated = cached.write(generated, keys[newest], values[newest], jnp.int32(m))
    ours = cached.cached_attention(
        query, context, generated, cached.Cursor(jnp.asarray(lengths), jnp.int32(step)), rule
    )
    for row, length in enumerate(lengths):
        seen = length + step + 1
        for beam in range(beams):
            queries = jnp.zeros((1, seen, HEADS, WIDTH)).at[0, -1].set(query[row, beam])
            whole = obvious(queries, keys[row, beam, None, :seen], values[row, beam, None, :seen], rule)
            close(ours[row, beam], whole[0, -1], ATTENTION)


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 12, 14, 20, 25, 112])
def test_alibi_slopes_fill_a_power_of_two_up_from_twice_that_power(heads):
    slopes, power = alibi_slopes(heads), 2 ** int(np.log2(heads))
    own, added = -8 * np.arange(1, power + 1) / power, -4 * np.arange(1, 2 * (heads - power), 2) / power
    expected = 2.0 ** np.concatenate([own, added])
    close(slopes, expected, ELEMENTARY, scale=expected)
    assert len(set(slopes.tolist())) == heads
