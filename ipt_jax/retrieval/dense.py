"""Exact neighbours by the cosine of vectors: blocked matrix products on the device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.retrieval.pool import Distinct, Neighbours, Pool, choose
from ipt_jax.retrieval.top_k import round_up, top_k
from ipt_jax.runtime import processes
from ipt_jax.runtime.log import Progress

# Products of 1,024 queries with 8,192 entries (32 MiB of cosines) run at the full rate of two cores, and larger
# ones no faster.
_QUERIES_PER_BLOCK = 1024
_ENTRIES_PER_BLOCK = 8192

Embed = Callable[[Sequence[str]], np.ndarray]


def dense_neighbours(
    queries: Pool, pool: Pool, k: int, *, embed: Embed, selection: str = "nearest", exclude_duplicates: bool = True
) -> Neighbours:
    """The k entries with the highest (or, `selection="farthest"`, lowest) cosine similarity, exact.

    No array of queries × pool is ever made: a block of queries meets a block of the pool at a time. Memory
    is that of the vectors twice over.

    Args:
      embed: texts → f32[n, E], such as `MeanHiddenStates`; called with different texts only.

    Raises:
      InputError: the pool has fewer than k entries that some query may be shown, or a vector is not finite.
    """
    search = functools.partial(_search, embed, selection == "farthest")
    return choose(queries, pool, k, search, selection=selection, exclude_duplicates=exclude_duplicates)


def _search(
    embed: Embed, farthest: bool, asked: list[str], distinct: Distinct, wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    pool_vectors = _finite(embed(distinct.texts), distinct.texts)
    query_vectors = pool_vectors if asked == distinct.texts else _finite(embed(asked), asked)
    size, width = pool_vectors.shape
    entries = min(_ENTRIES_PER_BLOCK, round_up(size))
    blocks = jnp.asarray(_unit(pool_vectors, round_up(size, entries)).reshape(-1, entries, width))
    rows = min(_QUERIES_PER_BLOCK, len(asked))
    similarities = np.empty((len(asked), wanted), np.float32)
    places = np.empty((len(asked), wanted), np.int64)
    quiet = not processes.is_first()
    with Progress(total=len(asked), desc=f"comparing with {size:,} inputs", unit="input", disable=quiet) as progress:
        for start in range(0, len(asked), rows):
            block = slice(start, start + rows)
            unit = _unit(query_vectors[block], rows)
            count = len(query_vectors[block])
            # The lowest cosines are the highest ones of the opposite vector.
            values, found = _nearest(-unit if farthest else unit, blocks, size, k=wanted)
            similarities[block] = (-values if farthest else values)[:count]
            places[block] = found[:count]
            progress.update(count)
    return similarities, places


def _finite(vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise InputError(
            f"the vector of {texts[wrong[0]]!r} is not finite, nor are those of {len(wrong) - 1} others; "
            "config.model.dtype='float32' may help"
        )
    return vectors


def _unit(vectors: np.ndarray, rows: int) -> np.ndarray:
    """f32[rows, E]: the vectors at length 1 (a vector of zeros stays one), then rows of zeros."""
    unit = np.zeros((rows, vectors.shape[1]), np.float32)
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    np.divide(vectors, norms, out=unit[: len(vectors)])
    return unit


@functools.partial(jax.jit, static_argnames="k")
def _nearest(queries: jax.Array, blocks: jax.Array, size: int, *, k: int) -> tuple[jax.Array, jax.Array]:
    """f32[Q, E], f32[blocks, entries, E] of which `size` are real → the k largest products and their places."""
    entries = blocks.shape[1]

    def step(best, numbered):
        number, block = numbered
        # In the device's default precision (TF32, bfloat16 passes) near neighbours would change places.
        products = jnp.matmul(queries, block.T, precision="highest")
        places = number * entries + jnp.arange(entries)
        found, where = top_k(jnp.where(places[None, :] < size, products, -jnp.inf), min(k, entries))
        # What was found before has the lower places, so it stays first among equals.
        values = jnp.concatenate([best[0], found], axis=1)
        values, order = jax.lax.top_k(values, k)
        return (values, jnp.take_along_axis(jnp.concatenate([best[1], places[where]], axis=1), order, axis=1)), None

    nothing = (jnp.full((len(queries), k), -jnp.inf), jnp.zeros((len(queries), k), jnp.int32))
    best, _ = jax.lax.scan(step, nothing, (jnp.arange(len(blocks)), blocks))
    return best
