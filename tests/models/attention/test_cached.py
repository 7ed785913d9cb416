"""Attention into a cache against the whole sequence at once."""

import jax.numpy as jnp
import numpy as np
import pytest
from attention_cases import GROUPS, HEADS, LENGTH, RULES, WIDTH, obvious, random_heads
from tolerances import ATTENTION, close

from ipt_jax.models.attention import cached


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


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
