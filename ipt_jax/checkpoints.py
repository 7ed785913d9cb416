"""Orbax checkpoints of a training state; prompts as files that other programs read."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import safetensors
import safetensors.numpy

from ipt_jax import mesh, processes
from ipt_jax.errors import InputError

PROMPT_KEY = "prompt_embeddings"
_DIGEST = "sha256"
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
        self.folder.mkdir(parents=True, exist_ok=True)
        self._manager = _manager(self.folder, max_to_keep=self._keep, enable_async_checkpointing=False)

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
            self._manager.save(step, args=ocp.args.StandardSave({**flat, _DIGEST: _digest(flat)}), force=True)
        except Exception as error:  # tensorstore has kinds of its own for what the disk refuses
            if not isinstance(error, OSError) and not re.search("No space left|quota|Read-only|Permission", str(error)):
                raise
            raise InputError(
                f"{self.folder}: the checkpoint of step {step} could not be written ({_first_line(error)}); what was "
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
        shapes[_DIGEST] = np.empty(hashlib.sha256().digest_size, np.uint8)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                flat = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
                if (flat.pop(_DIGEST) != _digest(flat)).any():
                    raise ValueError("its content is not what was written")
                return flat
            except Exception as error:  # orbax raises many kinds for a damaged folder; all mean "not this one"
                told = (step, self.folder, _first_line(error))
                _log.warning("checkpoint %s of %s cannot be read (%s); trying the one before", *told)
                self._put_aside(step)
        return None

    def _put_aside(self, step: int) -> None:
        """A folder without its files keeps Orbax from reading whole ones and from saving: it must not see it."""
        self._manager.close()
        aside = self.folder / f"damaged-{step}"
        shutil.rmtree(aside, ignore_errors=True)
        (self.folder / str(step)).rename(aside)
        self._open()

    def close(self) -> None:
        if self._manager is not None:
            self._manager.close()


def _manager(folder: Path, **options: Any) -> ocp.CheckpointManager:
    """A manager that this process has for itself: it waits for no others."""
    alone = ocp.options.MultiprocessingOptions(active_processes={jax.process_index()}, primary_host=jax.process_index())
    return ocp.CheckpointManager(
        folder, options=ocp.CheckpointManagerOptions(create=False, multiprocessing_options=alone, **options)
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _flatten(state: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _digest(flat: dict[str, Any]) -> np.ndarray:
    """SHA-256 of all arrays, u8[32]: formats of checkpoints notice a missing byte, but not every changed one."""
    digest = hashlib.sha256()
    for name in sorted(flat):
        digest.update(name.encode())
        digest.update(np.asarray(flat[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def save_prompt(path: Path, prompt: np.ndarray, metadata: dict[str, str]) -> None:
    """Writes f32[P, E] as safetensors under `prompt_embeddings`, atomically."""
    temporary = path.with_suffix(".partial")
    safetensors.numpy.save_file({PROMPT_KEY: np.ascontiguousarray(prompt, np.float32)}, temporary, metadata)
    temporary.replace(path)


def prompt_metadata(path: Path) -> dict[str, str]:
    """What `save_prompt` wrote beside the rows."""
    with safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def load_prompt(source: str | Path) -> np.ndarray:
    """Reads a soft prompt from whatever holds one.

    Args:
      source: a run folder of ours, a `.safetensors` file, a `.npy` file, a Hugging Face PEFT folder
        (`adapter_model.safetensors` of prompt tuning), or an Orbax folder (`runs/<id>/checkpoints`).

    Returns:
      f32[P, E].

    Raises:
      InputError: nothing there, or not one matrix of prompt rows. Pickled files are never read.
    """
    path = Path(source)
    if path.is_dir():
        for name in ("prompt.safetensors", "adapter_model.safetensors"):
            if (path / name).is_file():
                return load_prompt(path / name)
        steps = sorted(int(p.name) for p in path.iterdir() if p.name.isdigit())
        if steps:
            return _from_orbax(path, steps[-1])
        raise InputError(
            f"{path} holds no prompt: expected prompt.safetensors (a finished run), adapter_model.safetensors (PEFT) "
            "or Orbax checkpoints"
        )
    if not path.is_file():
        raise InputError(f"prompt {path} does not exist; give a run folder, a PEFT folder, a .safetensors or .npy file")
    try:
        if path.suffix == ".safetensors":
            tensors = safetensors.numpy.load_file(path)
            found = [v for name, v in tensors.items() if name.endswith(PROMPT_KEY)] or list(tensors.values())
            if len(found) != 1:
                raise InputError(f"{path} holds {sorted(tensors)}; expected one tensor named {PROMPT_KEY}")
            prompt = found[0]
        elif path.suffix == ".npy":
            prompt = np.load(path, allow_pickle=False)
        else:
            raise InputError(f"{path}: a prompt is read from .safetensors or .npy, not {path.suffix or 'no suffix'!r}")
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a prompt: {error}") from error
    return _checked(prompt, path)


def _from_orbax(folder: Path, step: int) -> np.ndarray:
    manager = _manager(folder.resolve(), read_only=True)
    flat = manager.restore(step, args=ocp.args.StandardRestore())
    manager.close()
    if "best_prompt" not in flat:
        raise InputError(f"{folder}: checkpoint {step} holds {sorted(flat)}, but no best_prompt")
    best = np.asarray(flat["best_prompt"])
    if len(best) != 1:
        raise InputError(
            f"{folder} holds a population of {len(best)} prompts; give the checkpoints of one run's folder"
        )
    return _checked(best[0], folder)


def _checked(prompt: np.ndarray, path: Path) -> np.ndarray:
    if prompt.ndim != 2 or not np.issubdtype(prompt.dtype, np.floating):
        raise InputError(f"{path}: a prompt is a float matrix [rows, width], not {prompt.dtype}{list(prompt.shape)}")
    if not np.isfinite(prompt).all():
        raise InputError(f"{path}: the prompt has entries that are not finite")
    return prompt.astype(np.float32)
