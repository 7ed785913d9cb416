"""In-context learning distilled: how far a student's next-token probabilities are from a teacher's, at the targets.

The teacher is the frozen model with demonstrations before the input, the student the same model with an adapter and
without them (context distillation: Snell et al., arXiv 2209.15189; Askell et al., arXiv 2112.00861).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ipt_jax.training.word_blocks import block_words, capped


class _Sums(NamedTuple):
    """Over some words, of N positions. Each sum is of exp(logit - the largest logit of its side).

    Attributes:
      highest, total, mean: of the student: f32[N], f32[N], and f32[N, E] of the table's rows times its logits' slope.
      taught_highest, taught_total: of the teacher.
      taught_mean: the same rows, weighted by the teacher's probabilities; the slope is the student's.
      apart: Σ of the teacher's weight times (its logit - the student's).
    """

    highest: jax.Array
    total: jax.Array
    mean: jax.Array
    taught_highest: jax.Array
    taught_total: jax.Array
    taught_mean: jax.Array
    apart: jax.Array


def distillation_losses(
    student: jax.Array,
    teacher: jax.Array,
    table: jax.Array,
    softcap: float | None = None,
    block: int | None = None,
    parts: int = 1,
) -> jax.Array:
    """KL(teacher ‖ student) f32[B, R] over all words, without ever holding the logits of all of them.

    As `losses.token_losses` the table is gone through once, in blocks, for both sides together; the gradient to the
    student's hidden state is the difference of two mean rows of the table, summed up in the same pass. The teacher
    gets none.

    Args:
      student, teacher: [B, R, E], as `FrozenDecoder.normalise` gives them.
      table, softcap, block, parts: as of `token_losses`.
    """
    parts = parts if table.shape[0] % parts == 0 else 1
    words = table.shape[0] // parts
    block = min(block or block_words(2 * student.shape[0] * student.shape[1], words), words)
    with jax.default_matmul_precision("highest"):
        frozen = jax.lax.stop_gradient((teacher, table))
        return _divergences(student, *frozen, softcap, block, parts)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _divergences(student, teacher, table, softcap, block, parts):
    return _forward(student, teacher, table, softcap, block, parts)[0]


def _forward(student, teacher, table, softcap, block, parts):
    """The divergences, and their gradient with respect to the student's states."""
    rows, taught = (x.reshape(-1, x.shape[-1]) for x in (student, teacher))
    words = functools.partial(_words, rows, taught, softcap=softcap, block=block)
    if parts == 1:
        sums = words(table)
    else:
        each = jax.vmap(words)(table.reshape(parts, -1, table.shape[1]))
        sums = functools.reduce(_merged, [jax.tree.map(lambda x, i=i: x[i], each) for i in range(parts)])
    # log of the student's normaliser minus the teacher's, and the teacher's mean of the logits' differences.
    spread = (jnp.log(sums.total) + sums.highest) - (jnp.log(sums.taught_total) + sums.taught_highest)
    losses = spread + sums.apart / sums.taught_total
    gradient = sums.mean / sums.total[:, None] - sums.taught_mean / sums.taught_total[:, None]
    return losses.reshape(student.shape[:-1]), gradient.astype(student.dtype).reshape(student.shape)


def _words(rows, taught, table, softcap, block):
    """`_Sums` over the words of a table [V, E]."""

    def add_block(sums, index):
        # The last block starts early enough to be whole; the words that it shares with the one before count once.
        start = jnp.minimum(index * block, len(table) - block)
        words = jax.lax.dynamic_slice_in_dim(table, start, block)
        new = start + jnp.arange(block) >= index * block

        def logits(states):
            return capped(jnp.einsum("ne,ve->nv", states, words, preferred_element_type=jnp.float32), softcap)

        (ours, slope), (theirs, _) = logits(rows), logits(taught)
        apart = theirs - ours
        ours, theirs = (jnp.where(new, x, -jnp.inf) for x in (ours, theirs))
        highest, taught_highest = ours.max(axis=-1), theirs.max(axis=-1)
        weights, taught_weights = jnp.exp(ours - highest[:, None]), jnp.exp(theirs - taught_highest[:, None])

        def mean(weights):
            sloped = weights if slope is None else weights * slope
            return jnp.einsum("nv,ve->ne", sloped.astype(words.dtype), words, preferred_element_type=jnp.float32)

        fresh = _Sums(
            highest,
            weights.sum(axis=-1),
            mean(weights),
            taught_highest,
            taught_weights.sum(axis=-1),
            mean(taught_weights),
            (taught_weights * apart).sum(axis=-1),
        )
        return _merged(sums, fresh), None

    zeros, none = jnp.zeros(len(rows), jnp.float32), jnp.zeros((len(rows), table.shape[1]), jnp.float32)
    start = _Sums(zeros - jnp.inf, zeros, none, zeros - jnp.inf, zeros, none, zeros)
    return jax.lax.scan(add_block, start, jnp.arange(-(-len(table) // block)))[0]


def _merged(one: _Sums, other: _Sums) -> _Sums:
    """The sums over the words of both."""
    highest = jnp.maximum(one.highest, other.highest)
    taught_highest = jnp.maximum(one.taught_highest, other.taught_highest)
    ours = [jnp.exp(sums.highest - highest) for sums in (one, other)]
    theirs = [jnp.exp(sums.taught_highest - taught_highest) for sums in (one, other)]

    def add(shrinks, *leaves):
        return sum(leaf * (s if leaf.ndim == 1 else s[:, None]) for s, leaf in zip(shrinks, leaves, strict=True))

    return _Sums(
        highest,
        add(ours, one.total, other.total),
        add(ours, one.mean, other.mean),
        taught_highest,
        add(theirs, one.taught_total, other.taught_total),
        add(theirs, one.taught_mean, other.taught_mean),
        add(theirs, one.apart, other.apart),
    )


def _backward(softcap, block, parts, gradients, upstream):
    del softcap, block, parts
    return gradients * upstream[..., None].astype(gradients.dtype), None, None


_divergences.defvjp(_forward, _backward)
