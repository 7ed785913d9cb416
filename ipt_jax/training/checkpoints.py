"""Orbax checkpoints of a training state; prompts as files that other programs read."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.runtime import mesh, processes
from ipt_jax.workdir.disk import make_folder, remove, writing
from ipt_jax.workdir.orbax_files import DIGEST, digest_of, first_line, manager_of, opens, restore, save, steps_of

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

# How tensorstore repeats what the disk said.
_REFUSED = "No space left|quota|File too large|Read-only|Permission|Input/output error"
_log = logging.getLogger(__name__)


class Checkpoints:
    """A folder of Orbax checkpoints, the newest few kept.

    The state is stored flat, as `path → array` (`params.table`, `best_prompt`, …), so that what is in a
    checkpoint can be listed and read without this project's classes.

    Of several processes the first one alone has the folder: a state is small, and the hosts need no common disk. All
    of them call all methods.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self.folder, self._keep = Path(folder).resolve(), keep
        self._manager: ocp.CheckpointManager | None = None
        processes.from_first(self._open)

    def _open(self) -> None:
        with writing(make_folder(self.folder)):
            steps = steps_of(self.folder)
        try:
            self._manager = manager_of(self.folder, max_to_keep=self._keep, enable_async_checkpointing=False)
        except Exception as error:  # Orbax reads a file of each checkpoint, and raises many kinds for a damaged one
            damaged = [step for step in steps if not opens(self.folder / str(step))]
            if not damaged:
                raise InputError(f"{self.folder} cannot be used for checkpoints ({first_line(error)})") from error
            for step in damaged:
                _log.warning("checkpoint %s of %s cannot be read (%s)", step, self.folder, first_line(error))
                self._move_aside(step)
            self._open()

    def save(self, step: int, state: Any) -> None:
        """Writes the state under its step; it appears in the folder whole or not at all.

        A checkpoint of that step is replaced: it is the same state, or one that could not be read.

        Raises:
          InputError: the disk refused it; what was saved before is as it was.
        """
        flat = {name: mesh.on_host(leaf) for name, leaf in _flatten(state).items()}
        processes.from_first(lambda: self._write(step, flat))

    def _write(self, step: int, flat: dict[str, np.ndarray]) -> None:
        if step in self._manager.all_steps():
            self._manager.delete(step)
        try:
            save(self._manager, step, {**flat, DIGEST: digest_of(flat)})
        except Exception as error:  # tensorstore has kinds of its own for what the disk refuses
            if not isinstance(error, OSError) and not re.search(_REFUSED, str(error)):
                raise
            raise InputError(
                f"{self.folder}: the checkpoint of step {step} could not be written ({first_line(error)}); what was "
                "saved before is intact. Free some space or make the place writable, then run the same command again"
            ) from error

    def restore(self, like: Any) -> Any | None:
        """The newest readable state in the structure of `like`, its arrays laid out as there, or None if there is none.

        A checkpoint that cannot be read is reported and put aside as `damaged-STEP`, and the one before it is taken.
        """
        wanted = _flatten(like)
        stored = processes.arrays_from_first(lambda: self._read(wanted), wanted)
        if stored is None:
            return None
        placed = [mesh.put(stored[name], leaf.sharding) for name, leaf in wanted.items()]
        return jax.tree.unflatten(jax.tree.structure(like), placed)

    def _read(self, wanted: dict[str, jax.Array]) -> dict[str, np.ndarray] | None:
        shapes = {name: np.empty(leaf.shape, leaf.dtype) for name, leaf in wanted.items()}
        shapes[DIGEST] = np.empty(hashlib.sha256().digest_size, np.uint8)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                flat = restore(self._manager, step, shapes)
                if (flat.pop(DIGEST) != digest_of(flat)).any():
                    raise ValueError("its content is not what was written")
                return flat
            except Exception as error:  # orbax raises many kinds for a damaged folder; all mean "not this one"
                told = (step, self.folder, first_line(error))
                _log.warning("checkpoint %s of %s cannot be read (%s); trying the one before", *told)
                self._put_aside(step)
        return None

    def _put_aside(self, step: int) -> None:
        """A folder without its files keeps Orbax from reading whole ones and from saving: it must not see it."""
        self._manager.close()
        self._move_aside(step)
        self._open()

    def _move_aside(self, step: int) -> None:
        aside = self.folder / f"damaged-{step}"
        with writing(aside):
            remove(aside)
            (self.folder / str(step)).rename(aside)

    def close(self) -> None:
        if self._manager is not None:
            self._manager.close()


def _flatten(state: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
