"""Neighbours that somebody else has found: a JSON Lines file with the training examples for each input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.retrieval.pool import Exclusions, Neighbours, Pool
from ipt_jax.tasks.reading import read_json_lines

_ROW = '{"id": text, "neighbours": [ids of training examples, the first choice first], "similarities": [numbers]}'


def content_hash(path: str) -> str:
    """What a run's identity has of the file. Raises InputError where there is none."""
    if not Path(path).is_file():
        raise InputError(f"config.layout.retriever={path!r}: there is no such file; its rows are {_ROW}")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def neighbours_in(path: Path, queries: Pool, pool: Pool, k: int, *, exclude_duplicates: bool = True) -> Neighbours:
    """The first k of each query's neighbours in the file that it may be shown.

    `similarities` may be left out, of all rows or of none. Rows of other inputs are passed over.

    Raises:
      InputError: a row is malformed or names no training example, or a query has fewer than k that it may be shown.
    """
    rows = {row["id"]: (line, row) for line, row in read_json_lines(path) if isinstance(row.get("id"), str)}
    places = {id: place for place, id in enumerate(pool.ids)}
    exclusions = Exclusions.between(queries, pool, exclude_duplicates)
    indices, similarities = np.empty((len(queries.ids), k), np.int64), []
    for query, id in enumerate(queries.ids):
        line, row = rows.get(id, (0, {}))
        found, values = _checked(row, places, f"{path}:{line}" if line else f"{path} has no row of {id!r}")
        allowed = np.flatnonzero(~exclusions.barred(query, found))[:k]
        if len(allowed) < k:
            raise InputError(
                f"{path}: {id!r} has {len(allowed)} neighbours that it may be shown (never itself, nor one with the "
                f"same input), and layout.demonstrations={k}; give it more"
            )
        indices[query] = found[allowed]
        if values is not None:
            similarities.append(values[allowed])
    if similarities and len(similarities) < len(indices):
        raise InputError(f"{path}: some rows have similarities and others have none; give them to all or to none")
    return Neighbours(indices, np.stack(similarities) if similarities else None, exclusions.count())


def _checked(row: Mapping[str, Any], places: Mapping[str, int], where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Places in the pool i64[n], and similarities f32[n] or None."""
    ids, values = row.get("neighbours"), row.get("similarities")
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise InputError(f"{where}: expected {_ROW}")
    if unknown := [id for id in ids if id not in places]:
        raise InputError(f"{where}: {unknown[0]!r} is the id of no training example (of those that limit.train leaves)")
    if values is not None and (
        not isinstance(values, list)
        or len(values) != len(ids)
        or not all(isinstance(value, int | float) and np.isfinite(value) for value in values)
    ):
        raise InputError(f"{where}: 'similarities'={values!r} should be a finite number for each of its neighbours")
    return np.array([places[id] for id in ids], np.int64), None if values is None else np.array(values, np.float32)
