"""Demonstrations drawn at random."""

from __future__ import annotations

import numpy as np

from ipt_jax import seeds
from ipt_jax.retrieval.pool import Exclusions, Neighbours, Pool, too_small


def random_neighbours(queries: Pool, pool: Pool, k: int, *, seed: int, exclude_duplicates: bool = True) -> Neighbours:
    """k entries drawn without replacement; a query's draw depends on (its id, seed) and the pool alone.

    Raises:
      InputError: the pool has fewer than k entries that the query may be shown.
    """
    exclusions = Exclusions.between(queries, pool, exclude_duplicates)
    chosen = np.empty((len(queries.ids), k), np.int64)
    for query, id in enumerate(queries.ids):
        draws = seeds.rng(seed, "demonstration", id).permutation(len(pool.ids))
        # At most the query itself and its duplicates are passed over, so the beginning nearly always has enough.
        allowed = draws[: 4 * k][~exclusions.barred(query, draws[: 4 * k])]
        if len(allowed) < k:
            allowed = draws[~exclusions.barred(query, draws)]
        if len(allowed) < k:
            raise too_small(k, len(pool.ids), id)
        chosen[query] = allowed[:k]
    return Neighbours(chosen, None, exclusions.count())
