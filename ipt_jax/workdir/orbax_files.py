"""Orbax folders of one process, and the digest of what is in them. Orbax is imported where it is used, being slow."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

DIGEST = "sha256"
ITEM = "default"  # what Orbax's manager calls the one thing that is in a checkpoint


def manager_of(folder: Path, **options: Any) -> ocp.CheckpointManager:
    """A manager that this process has for itself: it waits for no others."""
    import orbax.checkpoint as ocp

    return ocp.CheckpointManager(
        folder, options=ocp.CheckpointManagerOptions(create=False, multiprocessing_options=_alone(), **options)
    )


def save(manager: ocp.CheckpointManager, step: int, flat: dict[str, Any]) -> None:
    """Writes arrays by their names as the checkpoint of a step, over what stood there."""
    import orbax.checkpoint as ocp

    manager.save(step, args=ocp.args.StandardSave(flat), force=True)


def restore(manager: ocp.CheckpointManager, step: int, shapes: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a step's checkpoint, of these shapes and types."""
    import orbax.checkpoint as ocp

    return manager.restore(step, args=ocp.args.StandardRestore(shapes))


def restore_any(checkpoint: Path) -> dict[str, Any]:
    """The arrays of a checkpoint, of whatever shapes it has."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer(multiprocessing_options=_alone()) as reader:
        return reader.restore(checkpoint.resolve() / ITEM)


def _alone() -> ocp.options.MultiprocessingOptions:
    import orbax.checkpoint as ocp

    return ocp.options.MultiprocessingOptions(active_processes={jax.process_index()}, primary_host=jax.process_index())


def steps_of(folder: Path) -> list[int]:
    """The steps of a folder's checkpoints, the newest first."""
    names = [path.name for path in folder.iterdir()]
    return sorted((int(name) for name in names if name.isascii() and name.isdigit()), reverse=True)


def opens(checkpoint: Path) -> bool:
    """Whether Orbax can open a folder that has this checkpoint alone."""
    with tempfile.TemporaryDirectory() as alone:
        try:
            (Path(alone) / checkpoint.name).symlink_to(checkpoint, target_is_directory=True)
            manager_of(Path(alone)).close()
            return True
        except Exception:  # of as many kinds as above
            return False


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def digest_of(flat: dict[str, Any]) -> np.ndarray:
    """SHA-256 of all arrays, u8[32]: formats of checkpoints notice a missing byte, but not every changed one."""
    digest = hashlib.sha256()
    for name in sorted(flat):
        digest.update(name.encode())
        digest.update(np.asarray(flat[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
