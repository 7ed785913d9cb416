"""Attention in blocks of queries, with its own gradient, against attention written out."""

import functools

import jax
import jax.numpy as jnp
import pytest
from attention_cases import GROUPS, HEADS, RULES, WIDTH
from tolerances import ATTENTION, ATTENTION_GRADIENT, close

from ipt_jax.models.attention.blocked import block_length, blocked_attention
from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import plain_attention


@pytest.mark.parametrize(
    ("name", "block"),
    [
        *(("plain", 4), ("alibi", 4), ("window of a scanned layer", 4), ("softcap and window", 4), ("plain", 64)),
        # A number that is no array, another scale, and blocks within a window: variants of those.
        *(pytest.param(name, 4, marks=pytest.mark.slow) for name in RULES if "scale" in name or name == "window"),
        pytest.param("window", 3, marks=pytest.mark.slow),
    ],
)
def test_attention_in_blocks_of_queries_and_its_gradient_are_those_of_the_whole_square(name, block):
    length, rule = 11, RULES[name]
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = [(2, length, heads, WIDTH) for heads in (HEADS, GROUPS, GROUPS, HEADS)]
    *arguments, weights = (jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True))

    def answer(attend):
        @functools.partial(jax.value_and_grad, has_aux=True)
        def loss(arguments):
            mixed = attend(*arguments, rule)
            return (mixed * weights).sum(), mixed

        return jax.jit(loss)(arguments)

    (_, ours), our_gradients = answer(functools.partial(blocked_attention, block=block))
    (_, wanted), gradients = answer(plain_attention)
    close(ours, wanted, ATTENTION)
    for our_gradient, gradient in zip(our_gradients, gradients, strict=True):
        close(our_gradient, gradient, ATTENTION_GRADIENT)


@pytest.mark.parametrize(
    ("name", "outer", "inner", "implementation"),
    [
        *(("plain", 2, 1, "blocked"), ("alibi", 1, 2, "blocked"), ("window of a scanned layer", 2, 2, "blocked")),
        *(("window", 1, 1, "blocked"), ("softcap and window", 1, 2, "blocked"), ("alibi", 2, 1, "xla")),
        *(
            pytest.param(name, outer, inner, "blocked", marks=pytest.mark.slow)
            for name in RULES
            for outer, inner in ((1, 1), (2, 2))
        ),
    ],
)
def test_keys_and_values_before_the_rows_count_as_if_every_row_had_its_own_copy(name, outer, inner, implementation):
    batch, length, known, rule = 8, 11, 5, RULES[name]
    keys = jax.random.split(jax.random.key(0), 6)
    rows, shared = (batch, length), (outer, inner, known)
    shapes = [(*rows, HEADS), (*rows, GROUPS), (*rows, GROUPS), (*shared, GROUPS), (*shared, GROUPS), (*rows, HEADS)]
    *arguments, weights = (jax.random.normal(key, (*shape, WIDTH)) for key, shape in zip(keys, shapes, strict=True))

    def answer(attend):
        @functools.partial(jax.value_and_grad, has_aux=True)
        def loss(arguments):
            mixed = attend(*arguments)
            return (mixed * weights).sum(), mixed

        return jax.jit(loss)(arguments)

    def ours(query, key, value, *before):
        if implementation == "blocked":
            return blocked_attention(query, key, value, rule, before, block=4)
        return causal_attention(query, key, value, rule, before, implementation=implementation)

    def obvious(query, key, value, *before):
        def whole(shared, own):
            copies = [shared[i // (batch // outer), i % inner] for i in range(batch)]
            return jnp.concatenate([jnp.stack(copies), own], axis=1)

        places = jnp.broadcast_to(known + jnp.arange(length), (batch, length))
        return plain_attention(query, whole(before[0], key), whole(before[1], value), rule, places)

    (_, mixed), our_gradients = answer(ours)
    (_, wanted), gradients = answer(obvious)
    close(mixed, wanted, ATTENTION_GRADIENT)
    for our_gradient, gradient in zip(our_gradients, gradients, strict=True):
        close(our_gradient, gradient, ATTENTION_GRADIENT)


def test_queries_at_some_places_get_what_they_get_among_all():
    query, key, value = (jax.random.normal(jax.random.key(i), (2, 9, 4, WIDTH)) for i in range(3))
    places = jnp.array([[8, 0, 3], [2, 2, 7]])
    for name in ("plain", "softcap and window"):
        whole = jax.jit(functools.partial(causal_attention, rule=RULES[name]))(query, key, value)
        chosen = jnp.take_along_axis(query, places[..., None, None], axis=1)
        ours = jax.jit(functools.partial(plain_attention, rule=RULES[name], places=places))(chosen, key, value)
        close(ours, jnp.take_along_axis(whole, places[..., None, None], axis=1), ATTENTION)


def test_no_sequence_is_cut_into_more_than_eight_blocks():
    assert all(-(-length // block_length(length)) <= 8 for length in range(1, 3000))
