"""Orbax checkpoints of a training state; prompts as files that other programs read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from ipt_jax import mesh, processes
from ipt_jax.disk import make_folder, remove, writing
from ipt_jax.errors import InputError
from ipt_jax.json_text import canonical_json
from ipt_jax.models.hf_folder import read_json
from ipt_jax.models.safetensors_file import SafetensorsFile
from ipt_jax.storage import write_bytes

if TYPE_CHECKING:
    from ipt_jax.models.loading import FrozenLM

PROMPT_KEY = "prompt_embeddings"
# Adapters of PEFT that are saved as prompt rows (p-tuning as what its encoder gives), and what their configs promise.
PEFT_KINDS = ("PROMPT_TUNING", "P_TUNING")
PEFT_SIZES = ("num_virtual_tokens", "token_dim")
_DIGEST = "sha256"
# How tensorstore repeats what the disk said.
_REFUSED = "No space left|quota|File too large|Read-only|Permission|Input/output error"
_ITEM = "default"  # what Orbax's manager calls the one thing that is in a checkpoint
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
            steps = _steps(self.folder)
        try:
            self._manager = _manager(self.folder, max_to_keep=self._keep, enable_async_checkpointing=False)
        except Exception as error:  # Orbax reads a file of each checkpoint, and raises many kinds for a damaged one
            damaged = [step for step in steps if not _opens(self.folder / str(step))]
            if not damaged:
                raise InputError(f"{self.folder} cannot be used for checkpoints ({_first_line(error)})") from error
            for step in damaged:
                _log.warning("checkpoint %s of %s cannot be read (%s)", step, self.folder, _first_line(error))
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
            self._manager.save(step, args=ocp.args.StandardSave({**flat, _DIGEST: _digest(flat)}), force=True)
        except Exception as error:  # tensorstore has kinds of its own for what the disk refuses
            if not isinstance(error, OSError) and not re.search(_REFUSED, str(error)):
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


def _manager(folder: Path, **options: Any) -> ocp.CheckpointManager:
    """A manager that this process has for itself: it waits for no others."""
    return ocp.CheckpointManager(
        folder, options=ocp.CheckpointManagerOptions(create=False, multiprocessing_options=_alone(), **options)
    )


def _alone() -> ocp.options.MultiprocessingOptions:
    return ocp.options.MultiprocessingOptions(active_processes={jax.process_index()}, primary_host=jax.process_index())


def _steps(folder: Path) -> list[int]:
    """The steps of a folder's checkpoints, the newest first."""
    names = [path.name for path in folder.iterdir()]
    return sorted((int(name) for name in names if name.isascii() and name.isdigit()), reverse=True)


def _opens(checkpoint: Path) -> bool:
    """Whether Orbax can open a folder that has this checkpoint alone."""
    with tempfile.TemporaryDirectory() as alone:
        try:
            (Path(alone) / checkpoint.name).symlink_to(checkpoint, target_is_directory=True)
            _manager(Path(alone)).close()
            return True
        except Exception:  # of as many kinds as above
            return False


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


class Prompt(np.ndarray):
    """f32[P, E] that knows the language model it was trained on. `np.asarray` makes a plain array of it.

    Attributes:
      model, fingerprint: see `FrozenLM`; empty where nothing says it.
    """

    model: str = ""
    fingerprint: str = ""

    def __array_finalize__(self, other: Any) -> None:
        self.model, self.fingerprint = getattr(other, "model", ""), getattr(other, "fingerprint", "")


def save_prompt(path: Path, prompt: np.ndarray, metadata: Mapping[str, str]) -> None:
    """Writes f32[P, E] as safetensors under `prompt_embeddings`, atomically; equal prompts give equal bytes.

    Args:
      metadata: texts by name to write beside it. `model` and `model_fingerprint` say which language model it is for.

    Raises:
      InputError: not a matrix of finite numbers, or the file cannot be written.
    """
    path = Path(path)
    rows = _checked(np.asarray(prompt), path, {})
    # Not by the safetensors package, which writes metadata in another order each time.
    shape = {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}
    noted = {name: str(metadata[name]) for name in sorted(metadata)}
    noted |= {_DIGEST: _digest_of_prompt(rows, noted)}
    header = json.dumps({"__metadata__": noted, PROMPT_KEY: shape}).encode()
    header += b" " * (-len(header) % 8)
    with writing(path):
        write_bytes(path, len(header).to_bytes(8, "little") + header + rows.astype("<f4").tobytes())


def prompt_metadata(path: Path, needs: Sequence[str] = ()) -> dict[str, str]:
    """What `save_prompt` wrote beside the rows. Raises InputError where the file is damaged, or lacks what it needs."""
    found = {name: text for name, text in SafetensorsFile(path).metadata.items() if name != _DIGEST}
    if missing := [name for name in needs if name not in found]:
        raise InputError(f"{path} does not say its {' and '.join(missing)}, so a run did not write it; make it again")
    return found


def load_prompt(source: str | Path) -> Prompt:
    """Reads a soft prompt from whatever holds one.

    Args:
      source: a run folder of ours, a `.safetensors` file, a `.npy` file, a Hugging Face PEFT folder
        (`adapter_model.safetensors` of prompt tuning or p-tuning), or an Orbax folder (`runs/<id>/checkpoints`).

    Returns:
      f32[P, E], which knows its language model where the file says it; see `check_prompt`.

    Raises:
      InputError: nothing there, damaged, not one matrix of prompt rows, or an adapter of another kind. Pickled files
        are never read.
    """
    if not isinstance(source, str | Path):
        raise InputError(f"a prompt is read from a path, not from {source!r}")
    path = Path(source)
    if os.path.isdir(path):
        return _from_folder(path)
    if not os.path.isfile(path):  # Path.is_file raises for some names
        raise InputError(f"prompt {path} does not exist; give a run folder, a PEFT folder, a .safetensors or .npy file")
    if path.suffix == ".safetensors":
        return _from_safetensors(path)
    if path.suffix != ".npy":
        raise InputError(f"{path}: a prompt is read from .safetensors or .npy, not {path.suffix or 'no suffix'!r}")
    try:
        # Mapped: a header that promises more than the file has costs nothing.
        rows = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises what its tokenizer, its parser and the system do
        raise InputError(f"{path} cannot be read as a prompt: {error}") from error
    return _checked(rows, path, {})


def check_prompt(prompt: np.ndarray | None, lm: FrozenLM) -> np.ndarray:
    """f32[P, E], a plain array, for this model; no prompt is P = 0.

    A prompt of `load_prompt` that was trained on another model is refused, whatever its width: its numbers are points
    in that model's space. The same weights in another type are the same model. What has no model, a plain array or a
    `.npy` file, is taken at its width.

    Raises:
      InputError: another width, another model, or not a matrix of finite numbers.
    """
    width = lm.decoder.config.embed_dim
    if prompt is None:
        return np.zeros((0, width), np.float32)
    if isinstance(prompt, Prompt) and prompt.fingerprint and lm.fingerprint not in ("", prompt.fingerprint):
        raise InputError(
            f"the prompt was trained on {prompt.model or 'another model'} (weights {prompt.fingerprint[:12]}), not on "
            f"{lm.name} (weights {lm.fingerprint[:12]}); use that model, or, to try it all the same, the prompt as a "
            "plain array: python -m ipt_jax.export --format=npy"
        )
    try:
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite there
            rows = np.asarray(prompt, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the prompt is no array of numbers: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != width:
        raise InputError(f"the prompt has shape {list(rows.shape)}; {lm.name} needs [rows, {width}]")
    if not np.isfinite(rows).all():
        raise InputError("the prompt has entries that are not finite")
    return rows


def _from_folder(path: Path) -> Prompt:
    if (path / "prompt.safetensors").is_file():
        return _from_safetensors(path / "prompt.safetensors")
    adapter = path / "adapter_model.safetensors"
    if adapter.is_file() or (path / "adapter_config.json").is_file():
        _check_adapter(path / "adapter_config.json")
        if not adapter.is_file():
            raise InputError(f"{path} has no {adapter.name}; save the adapter with safe_serialization=True")
        return _from_safetensors(adapter)
    steps = _steps(path)
    if steps:
        return _from_orbax(path, steps)
    raise InputError(
        f"{path} holds no prompt: expected prompt.safetensors (a finished run), adapter_model.safetensors (PEFT) "
        "or Orbax checkpoints"
    )


def _check_adapter(config: Path) -> None:
    """Refuses an adapter that is not rows before the tokens of a decoder, by what its `adapter_config.json` says."""
    settings = read_json(config)
    kind = settings.get("peft_type", PEFT_KINDS[0] if not settings else None)
    if kind not in PEFT_KINDS:
        raise InputError(f"{config}: peft_type={kind!r} is no soft prompt; supported: {', '.join(PEFT_KINDS)}")
    if settings.get("num_transformer_submodules") not in (None, 1):
        raise InputError(f"{config}: the prompt is one of an encoder and a decoder; supported: of a decoder alone")


def _from_safetensors(path: Path) -> Prompt:
    try:
        file = SafetensorsFile(path)
        names = list(file.names())
        found = [name for name in names if name.endswith(PROMPT_KEY)] or names
        if len(found) != 1:
            raise InputError(f"it holds {', '.join(names) or 'nothing'}; expected one tensor named {PROMPT_KEY}")
        stored = file.read(found[0])
    except InputError as error:
        raise InputError(f"{path} cannot be read as a prompt: {error}") from error
    rows = _checked(stored, path, file.metadata)
    # Older versions took the digest of the rows alone.
    if file.metadata.get(_DIGEST) not in (None, _digest_of_prompt(rows, file.metadata), _digest_of_prompt(rows, {})):
        raise InputError(f"{path} is damaged: its content is not what was written; make it again")
    if path.name == "adapter_model.safetensors":
        config = path.with_name("adapter_config.json")
        _check_adapter(config)
        promised = [read_json(config).get(name, size) for name, size in zip(PEFT_SIZES, rows.shape, strict=True)]
        if promised != list(rows.shape):
            raise InputError(f"{path} is {list(rows.shape)}, where {config.name} promises {promised}")
    return rows


def _from_orbax(folder: Path, steps: Sequence[int]) -> Prompt:
    """The best prompt of the newest checkpoint that can be read. Of a run of ours, its prompt's file says the model."""
    flat = None
    for step in steps:
        try:
            with ocp.StandardCheckpointer(multiprocessing_options=_alone()) as reader:
                flat = reader.restore(folder.resolve() / str(step) / _ITEM)
            if _DIGEST in flat and (np.asarray(flat.pop(_DIGEST)) != _digest(flat)).any():
                raise ValueError("its content is not what was written")
            break
        except Exception as error:  # orbax raises many kinds for a damaged folder; all mean "not this one"
            _log.warning("checkpoint %s of %s cannot be read (%s)", step, folder, error)
            flat = None
    if flat is None:
        raise InputError(f"{folder}: none of its checkpoints ({', '.join(map(str, steps[:5]))}) can be read")
    if "best_prompt" not in flat:
        raise InputError(f"{folder}: checkpoint {step} holds {sorted(flat)}, but no best_prompt")
    best = np.asarray(flat["best_prompt"])
    if best.ndim != 3 or len(best) != 1:
        raise InputError(
            f"{folder} holds a population of {len(best) if best.ndim else 0} prompts; give the checkpoints of one "
            "run's folder"
        )
    beside = folder.parent / "prompt.safetensors"
    return _checked(best[0], folder, prompt_metadata(beside) if beside.is_file() else {})


def _checked(rows: np.ndarray, path: Path, metadata: Mapping[str, str]) -> Prompt:
    if rows.ndim != 2 or not rows.size or not jnp.issubdtype(rows.dtype, np.floating):
        raise InputError(f"{path}: a prompt is a float matrix [rows, width], not {rows.dtype}{list(rows.shape)}")
    with np.errstate(over="ignore"):  # what is beyond float32 is infinite there
        prompt = np.array(rows, np.float32, order="C")
    if not np.isfinite(prompt).all():
        raise InputError(f"{path}: the prompt has entries that are not finite in float32")
    prompt = prompt.view(Prompt)
    prompt.model, prompt.fingerprint = metadata.get("model", ""), metadata.get("model_fingerprint", "")
    return prompt


def _digest_of_prompt(rows: np.ndarray, metadata: Mapping[str, str]) -> str:
    """SHA-256 of the rows and of what is noted beside them."""
    digest = hashlib.sha256(rows.astype("<f4").tobytes())
    noted = {name: text for name, text in metadata.items() if name != _DIGEST}
    digest.update(canonical_json(noted) if noted else b"")
    return digest.hexdigest()
