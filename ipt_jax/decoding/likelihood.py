"""How probable given continuations of rows are: one pass, and logits only where a continuation is predicted."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.adapters.injection import Injection, for_all
from ipt_jax.adapters.soft_prompt import prepend
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.runtime.programs import program
from ipt_jax.runtime.shapes import bucket


@dataclasses.dataclass(frozen=True)
class Scored:
    """The log-probability of a continuation, and of each of its tokens after everything before it."""

    log_probability: float
    token_log_probabilities: tuple[float, ...]


@functools.partial(jax.jit, static_argnames="decoder")
def log_probabilities(
    decoder: FrozenDecoder, params: Any, adapter: Injection, tokens: jax.Array, places: jax.Array, targets: jax.Array
) -> jax.Array:
    """f32[B, R]: log-probabilities of `targets` i32[B, R].

    Args:
      adapter: of one member, before every row and in it.
      tokens: i32[B, T], padded on the right.
      places: i32[B, R], the position, those of the adapter counted, whose hidden state predicts each target.
    """
    embeddings, rows = decoder.embed(params, tokens), adapter.rows
    params, before = adapter.changed(params, for_all), adapter.known(for_all, embeddings.dtype)
    known, first = adapter.positions, max(rows.shape[1] - 1, 0)
    if rows.shape[1]:  # the last of them may have to predict a target: every row has it
        last = jnp.broadcast_to(rows[:, -1:], (len(tokens), 1, rows.shape[-1]))
        embeddings, known = prepend(last, embeddings), known - 1
    if first:
        made = decoder.beginning(params, rows[:, :first].astype(embeddings.dtype), "none", before)
        before = jax.tree.map(lambda x: x[:, :, None], made)
    logits = decoder.project(params, decoder.hidden_at(params, embeddings, places - known, "none", before))
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def score(
    decoder: FrozenDecoder,
    params: Any,
    adapter: Injection | jax.Array,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    batch_size: int,
) -> Iterator[tuple[int, Scored]]:
    """Yields (index into `rows`, score) of every row, longest rows first.

    Worked example, a prompt of 3 rows and a row ((7, 8), (9, 5)): the sequence is p p p 7 8 9 5. Position 4, the
    8, predicts the 9, and position 5, the 9, predicts the 5.

    Args:
      adapter: of one member, or prompt rows f32[1, P, E]; P may be 0.
      rows: pairs of input and continuation; an input may be empty only behind prompt rows. Together they must fit the
        model's positions (checked by the caller).
      batch_size: rows run together.
    """
    adapter = Injection.of(adapter)
    before = adapter.positions
    order = sorted(range(len(rows)), key=lambda i: sum(map(len, rows[i])))
    while order:
        batch, order = order[-batch_size:], order[:-batch_size]
        width = min(bucket(sum(map(len, rows[batch[-1]]))), decoder.config.max_positions - before)
        count = min(bucket(max(len(rows[i][1]) for i in batch), smallest=8), width)
        tokens = np.zeros((batch_size, width), np.int32)
        places, targets = np.zeros((batch_size, count), np.int32), np.zeros((batch_size, count), np.int32)
        for b, i in enumerate(batch):
            source, target = rows[i]
            tokens[b, : len(source) + len(target)] = [*source, *target]
            places[b, : len(target)] = before + len(source) - 1 + np.arange(len(target))
            targets[b, : len(target)] = target
        arguments = decoder, params, adapter, tokens, places, targets
        found = np.asarray(program(log_probabilities, *arguments)(*arguments[1:]))
        for b, i in enumerate(batch):
            each = tuple(float(x) for x in found[b, : len(rows[i][1])])
            yield i, Scored(sum(each), each)
