"""The largest entries of every row, exactly, at the speed of reading the rows once."""

from __future__ import annotations

import jax
import jax.numpy as jnp

CHUNK = 128


def top_k(scores: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """Like `jax.lax.top_k` over the last axis, several times as fast on a CPU where rows are long.

    The k first entries lie in the k chunks of columns with the largest maxima, so all but these chunks are
    read once, for their maximum, and never sorted. Of equal entries the one with the lower index comes first:
    a chunk that is left out has k chunks before it which each have an entry that goes before all of its own.

    Args:
      scores: f32[Q, N]; -inf for what must not be found.
      k: at most N.

    Returns:
      values f32[Q, k] and indices i32[Q, k].
    """
    rows, columns = scores.shape
    if columns % CHUNK or columns // CHUNK <= k:
        return jax.lax.top_k(scores, k)
    chunks = scores.reshape(rows, -1, CHUNK)
    _, best = jax.lax.top_k(chunks.max(axis=-1), k)
    best = jnp.sort(best, axis=1)  # back in the order of the columns, for equal entries
    candidates = jnp.take_along_axis(chunks, best[:, :, None], axis=1).reshape(rows, -1)
    values, places = jax.lax.top_k(candidates, k)
    return values, jnp.take_along_axis(best, places // CHUNK, axis=1) * CHUNK + places % CHUNK


def round_up(size: int, multiple: int = CHUNK) -> int:
    """The next multiple, at least one: `round_up(129)` is 256."""
    return max(1, -(-size // multiple)) * multiple
