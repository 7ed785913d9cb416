"""Arrays kept on disk under a hash of what they were computed from: vectors, and finished searches."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ipt_jax.retrieval.pool import Neighbours, Pool
from ipt_jax.runtime import processes
from ipt_jax.workdir.disk import OF_A_CACHE, remove, writing
from ipt_jax.workdir.json_files import write_bytes

_CONTENT = "sha256"
_log = logging.getLogger(__name__)


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

    A file whose arrays are not those that were written is made anew, with a warning.

    Of several processes each has its own folder. They compute together, so all do it where one lacks the file.

    Raises:
      InputError: the disk refused it.
    """
    arrays = _read(path)
    if processes.everywhere(arrays is not None):
        return arrays
    arrays = compute()
    content = io.BytesIO()
    np.savez(content, **arrays, **{_CONTENT: _content(arrays)})
    with writing(path, OF_A_CACHE):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            remove(path)
        write_bytes(path, content.getvalue())
    return arrays


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None where there is none or where it is damaged."""
    if not os.path.lexists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        if _CONTENT not in arrays:
            raise ValueError("it has no checksum, as an older version wrote it")
        if (arrays.pop(_CONTENT) != _content(arrays)).any():
            raise ValueError("its content is not what was written")
        return arrays
    except Exception as error:  # a damaged file fails in any layer: zip, deflate, NumPy's header, its shapes
        _log.warning("%s cannot be used and is made anew (%s)", path, error)
        return None


def _content(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """SHA-256 of all arrays with their names, types and shapes, u8[32]."""
    hashed = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        array = np.asarray(value)
        hashed.update(f"{name}:{array.dtype.str}:{array.shape};".encode() + array.tobytes())
    return np.frombuffer(hashed.digest(), np.uint8)


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
    path = folder / f"{digest(settings, _texts(queries), _texts(pool))}.npz"
    own = kept(path, lambda: dataclasses.asdict(find()))
    stored = processes.arrays_from_first(lambda: own, own)
    return Neighbours(stored["indices"], stored["similarities"], int(stored["duplicates_excluded"]))


def _texts(pool: Pool) -> Iterable[str]:
    return itertools.chain([pool.split], pool.ids, pool.inputs)
