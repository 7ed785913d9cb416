"""Arrays kept on disk under a hash of what they were computed from: vectors, and finished searches."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ipt_jax import processes
from ipt_jax.retrieval.pool import Neighbours, Pool


def digest(*groups: Iterable[str]) -> str:
    """32 hex digits that change with any text, and with the boundaries of texts and groups."""
    hashed = hashlib.sha256()
    for group in groups:
        for text in group:
            content = text.encode("utf-8", "surrogatepass")
            hashed.update(b"%d:" % len(content) + content)
        hashed.update(b";")
    return hashed.hexdigest()[:32]


def kept(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in the `.npz` at `path`, or those of `compute`, which are written there whole or not at all.

    Of several processes each has its own folder. They compute together, so all do it where one lacks the file.
    """
    if processes.everywhere(path.is_file()):
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    arrays = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.npz")
    np.savez(temporary, **arrays)
    os.replace(temporary, path)
    return arrays


def kept_neighbours(
    folder: Path, settings: Iterable[str], queries: Pool, pool: Pool, find: Callable[[], Neighbours]
) -> Neighbours:
    """What `find` returns, from disk where a search of the same settings, ids and inputs was finished before.

    Several processes all take what the first one has: rounding may order near neighbours otherwise on another host.

    Args:
      folder: holds the files.
      settings: everything else that can change the neighbours, as texts.
      find: a search that has similarities.
    """
    path = folder / f"{digest(settings, queries.ids, queries.inputs, pool.ids, pool.inputs)}.npz"
    own = kept(path, lambda: dataclasses.asdict(find()))
    stored = processes.arrays_from_first(lambda: own, own)
    return Neighbours(stored["indices"], stored["similarities"], int(stored["duplicates_excluded"]))
