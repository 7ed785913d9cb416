"""The slow obvious search that every retriever is compared with, and the cases that it is compared on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ipt_jax.retrieval import Pool


def pool_of(texts, prefix="train"):
    texts = list(texts)
    return Pool([f"{prefix}:{i}" for i in range(len(texts))], texts)


@st.composite
def cases(draw, texts):
    """(queries, pool): some queries are entries of the pool, others have an input of their own or a duplicate's."""
    pool = pool_of(draw(st.lists(texts, min_size=3, max_size=20)))
    own = draw(st.lists(st.integers(0, len(pool.ids) - 1), max_size=4, unique=True))
    others = draw(st.lists(st.one_of(texts, st.sampled_from(pool.inputs)), min_size=1, max_size=4))
    ids = [pool.ids[i] for i in own] + [f"test:{i}" for i in range(len(others))]
    return Pool(ids, [pool.inputs[i] for i in own] + others), pool


def expected(queries, pool, scores, k, selection, exclude_duplicates):
    """By sorting every row of the full matrix: indices and similarities of the k chosen, duplicates passed over.

    None where some query has fewer than k entries that it may be shown.
    """
    indices, duplicates = [], 0
    for query, (id, text) in enumerate(zip(queries.ids, queries.inputs, strict=True)):
        allowed = []
        for entry in range(len(pool.ids)):
            if pool.ids[entry] == id:
                continue
            if exclude_duplicates and pool.inputs[entry] == text:
                duplicates += 1
                continue
            allowed.append(entry)
        sign = 1 if selection == "farthest" else -1
        indices.append(sorted(allowed, key=lambda entry, row=scores[query]: sign * row[entry])[:k])
    if any(len(row) < k for row in indices):
        return None
    return np.array(indices), np.take_along_axis(scores, np.array(indices), axis=1), duplicates
