"""The cache of keys and values: how it lies in memory, and attention into it.

Keys lie as [..., G, H, S] and values as [..., G, S, H]: the way in which the two products of attention read them in
order. With both as [..., S, G, H], as a layer makes them, every step copied the whole cache into that order first: a
step of GPT-2 124M over 16 × 242 positions spent 79 ms of processor time in attention on a CPU, and 13 ms so.

What is generated has its beams and groups in one axis X = W · G, beam by beam: the very operand of the products, so
that the one buffer is written in place. With a beam axis of its own XLA reshaped it for the products, merged that with
the write, did the write twice, and copied the whole segment four times in every step.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ipt_jax.models.attention import ScoreRule

Pair = tuple[jax.Array, jax.Array]

# Queries of a prefill that are scored at a time: few enough that their scores stay in a CPU's cache, and half of the
# products above the diagonal are never made. 16 × 242 positions of GPT-2 on two cores: 107 ms of processor time a
# layer at once, 63 ms in blocks of 128, 68 ms in blocks of 64; 8 × 448 of SmolLM2: 112, 57 and 43 ms.
_BLOCK = 64


def extend(before: Pair | None, key: jax.Array, value: jax.Array) -> Pair:
    """Puts new positions behind those of a cache.

    Args:
      before: keys [B, G, H, S] and values [B, G, S, H], or None for no positions.
      key, value: [B, T, G, H], as a layer makes them.

    Returns:
      Keys [B, G, H, S + T] and values [B, G, S + T, H].
    """
    keys, values = key.transpose(0, 2, 3, 1), value.transpose(0, 2, 1, 3)
    if before is None:
        return keys, values
    return jnp.concatenate([before[0], keys], axis=-1), jnp.concatenate([before[1], values], axis=-2)


def empty_segment(context: tuple[Pair, ...], beams: int, entries: int) -> tuple[Pair, ...]:
    """Per layer, keys [B, X, H, M] and values [B, X, M, H] for what will be generated after a context."""
    batch, groups, width, _ = context[0][0].shape
    keys = jnp.zeros((batch, beams * groups, width, entries), context[0][0].dtype)
    return tuple((keys, keys.swapaxes(-1, -2)) for _ in context)


def write(generated: Pair, key: jax.Array, value: jax.Array, entry: jax.Array) -> Pair:
    """Puts key and value [B, W, G, H] at entry `entry` of keys [B, X, H, M] and values [B, X, M, H]."""
    key, value = (x.reshape(x.shape[0], -1, x.shape[-1]) for x in (key, value))
    keys = jax.lax.dynamic_update_slice_in_dim(generated[0], key[..., None], entry, axis=-1)
    return keys, jax.lax.dynamic_update_slice_in_dim(generated[1], value[..., None, :], entry, axis=-2)


def reorder(generated: tuple[Pair, ...], order: jax.Array) -> tuple[Pair, ...]:
    """Beam w of the answer has what beam `order[b, w]` had; order is i32[B, W]."""

    def of(leaf):
        beams = leaf.reshape(*order.shape, -1)
        return jnp.take_along_axis(beams, order[..., None], axis=1).reshape(leaf.shape)

    return jax.tree.map(of, generated)


def prefill_attention(query: jax.Array, context: Pair, rule: ScoreRule) -> jax.Array:
    """Causal attention of the last T of S positions, in blocks of queries that do not look past their own end.

    Args:
      query: [B, T, N, H].
      context: keys [B, G, H, S] and values [B, G, S, H].

    Returns:
      [B, T, N, H] in the type of `query`; scores and softmax are float32.
    """
    batch, length, heads, width = query.shape
    keys, values = context
    groups, size = keys.shape[1], keys.shape[-1]
    share, first = heads // groups, size - length
    grouped = query.reshape(batch, length, groups, share, width).transpose(0, 2, 3, 1, 4)
    blocks = []
    for start in range(0, length, _BLOCK):
        block = grouped[:, :, :, start : start + _BLOCK]
        rows = block.shape[3]
        end = first + start + rows
        block = block.reshape(batch, groups, share * rows, width)  # heads of a group read the same keys
        products = jnp.einsum("bgxh,bghs->bgxs", block, keys[..., :end], preferred_element_type=jnp.float32)
        distances = (jnp.arange(end - rows, end)[:, None] - jnp.arange(end)[None, :])[None, None, None]
        scores = rule.apply(products.reshape(batch, groups, share, rows, end), distances, distances >= 0)
        weights = jax.nn.softmax(scores, axis=-1).astype(query.dtype).reshape(batch, groups, share * rows, end)
        mixed = jnp.einsum("bgxs,bgsh->bgxh", weights, values[:, :, :end])
        blocks.append(mixed.reshape(batch, groups, share, rows, width))
    return jnp.concatenate(blocks, axis=3).transpose(0, 3, 1, 2, 4).reshape(query.shape)


def cached_attention(
    query: jax.Array,
    context: Pair,
    generated: Pair | None,
    context_lengths: jax.Array,
    step: jax.Array,
    rule: ScoreRule,
    entry: jax.Array | None = None,
) -> jax.Array:
    """One new token of every beam over the two segments of its cache.

    All beams of an example read one copy of the context; what they generated is their own. The generated segment is a
    ring: rows that began at different times write the same entry, and each sees only as far back as its own beginning.
    Worked example with M = 4 and entry 1: entries 1, 0, 3, 2 are 0, 1, 2, 3 tokens old; a row at step 2 sees 1, 0, 3.

    Args:
      query: [B, W, N, H], of the token that `step` generated tokens stand before.
      context: keys [B, G, H, S] and values [B, G, S, H]; entries at or past `context_lengths` are never seen.
      generated: keys [B, X, H, M] and values [B, X, M, H]; the query's own are at `entry`. None where nothing is
        generated yet: with `step` -1 the query is that of the last context entry.
      context_lengths: i32[B].
      step: i32[B] or i32[], less than M.
      entry: i32[]; `step` if None.

    Returns:
      [B, W, N, H] in the type of `query`; scores and softmax are float32.
    """
    batch, beams, heads, width = query.shape
    groups, size = context[0].shape[1], context[0].shape[-1]
    share = heads // groups
    grouped = query.reshape(batch, beams, groups, share, width)
    # Positions: context entry s stands at s, the query at context_lengths + step.
    step = jnp.broadcast_to(step, (batch,))[:, None]
    distances = context_lengths[:, None] + step - jnp.arange(size)[None, :]
    seen = distances > step
    # One product of an example's group for all its beams and heads, which read the same keys.
    together = grouped.swapaxes(1, 2).reshape(batch, groups, beams * share, width)
    products = jnp.einsum("bgxh,bghs->bgxs", together, context[0], preferred_element_type=jnp.float32)
    products = products.reshape(batch, groups, beams, share, size).swapaxes(1, 2)
    if generated is not None:
        new = generated[0].shape[-1]
        ages = jnp.broadcast_to(((step[0] if entry is None else entry) - jnp.arange(new)) % new, (batch, new))
        distances, seen = jnp.concatenate([distances, ages], axis=-1), jnp.concatenate([seen, ages <= step], axis=-1)
        each = grouped.reshape(batch, beams * groups, share, width)
        over_own = jnp.einsum("bxnh,bxhm->bxnm", each, generated[0], preferred_element_type=jnp.float32)
        products = jnp.concatenate([products, over_own.reshape(*products.shape[:-1], new)], axis=-1)
    scores = rule.apply(products[..., None, :], *(x[:, None, None, None, None, :] for x in (distances, seen)))
    weights = jax.nn.softmax(scores[..., 0, :], axis=-1).astype(query.dtype)
    over_context = weights[..., :size].swapaxes(1, 2).reshape(batch, groups, beams * share, size)
    mixed = jnp.einsum("bgxs,bgsh->bgxh", over_context, context[1])
    mixed = mixed.reshape(batch, groups, beams, share, width).swapaxes(1, 2)
    if generated is not None:
        over_own = weights[..., size:].reshape(batch, beams * groups, share, -1)
        mixed += jnp.einsum("bxnm,bxmh->bxnh", over_own, generated[1]).reshape(mixed.shape)
    return mixed.reshape(query.shape)
