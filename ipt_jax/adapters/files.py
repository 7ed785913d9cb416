"""Prompts as files that other programs read."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.models.files.hf_folder import read_json
from ipt_jax.models.files.safetensors import SafetensorsFile, tensors_as_bytes
from ipt_jax.workdir.disk import writing
from ipt_jax.workdir.json_files import write_bytes
from ipt_jax.workdir.json_text import canonical_json
from ipt_jax.workdir.orbax_files import DIGEST, digest_of, restore_any, steps_of

if TYPE_CHECKING:
    from ipt_jax.models.loading import FrozenLM

PROMPT_KEY = "prompt_embeddings"
# Adapters of PEFT that are saved as prompt rows (p-tuning as what its encoder gives), and what their configs promise.
PEFT_KINDS = ("PROMPT_TUNING", "P_TUNING")
PEFT_SIZES = ("num_virtual_tokens", "token_dim")
_log = logging.getLogger(__name__)


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
    noted = {name: str(metadata[name]) for name in sorted(metadata)}
    noted |= {DIGEST: _digest_of_prompt(rows, noted)}
    with writing(path):
        write_bytes(path, tensors_as_bytes({PROMPT_KEY: rows}, noted))


def prompt_metadata(path: Path, needs: Sequence[str] = ()) -> dict[str, str]:
    """What `save_prompt` wrote beside the rows. Raises InputError where the file is damaged, or lacks what it needs."""
    found = {name: text for name, text in SafetensorsFile(path).metadata.items() if name != DIGEST}
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
    if isinstance(prompt, Prompt):
        way_out = "; use that model, or, to try it all the same, the prompt as a plain array: python -m ipt_jax.export "
        check_fingerprint("the prompt", prompt.model, prompt.fingerprint, lm, way_out + "--format=npy")
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


def check_fingerprint(what: str, model: str, fingerprint: str, lm: FrozenLM, way_out: str = "; use that one") -> None:
    """Raises InputError for what was trained on another model than `lm`, where both are known."""
    if fingerprint and lm.fingerprint not in ("", fingerprint):
        raise InputError(
            f"{what} was trained on {model or 'another model'} (weights {fingerprint[:12]}), not on {lm.name} (weights "
            f"{lm.fingerprint[:12]}){way_out}"
        )


def _from_folder(path: Path) -> Prompt:
    if (path / "prompt.safetensors").is_file():
        return _from_safetensors(path / "prompt.safetensors")
    adapter = path / "adapter_model.safetensors"
    if adapter.is_file() or (path / "adapter_config.json").is_file():
        _check_adapter(path / "adapter_config.json")
        if not adapter.is_file():
            raise InputError(f"{path} has no {adapter.name}; save the adapter with safe_serialization=True")
        return _from_safetensors(adapter)
    steps = steps_of(path)
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
    if file.metadata.get(DIGEST) not in (None, _digest_of_prompt(rows, file.metadata), _digest_of_prompt(rows, {})):
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
    best = best_of_orbax(folder, steps)
    if list(best) != [""]:
        raise InputError(f"{folder} holds an adapter of {', '.join(best)}, and no soft prompt")
    beside = folder.parent / "prompt.safetensors"
    return _checked(best[""], folder, prompt_metadata(beside) if beside.is_file() else {})


def best_of_orbax(folder: Path, steps: Sequence[int]) -> dict[str, np.ndarray]:
    """The best of the newest checkpoint of one member that can be read: arrays by name, a soft prompt under ""."""
    flat = None
    for step in steps:
        try:
            flat = restore_any(folder / str(step))
            if DIGEST in flat and (np.asarray(flat.pop(DIGEST)) != digest_of(flat)).any():
                raise ValueError("its content is not what was written")
            break
        except Exception as error:  # orbax raises many kinds for a damaged folder; all mean "not this one"
            _log.warning("checkpoint %s of %s cannot be read (%s)", step, folder, error)
            flat = None
    if flat is None:
        raise InputError(f"{folder}: none of its checkpoints ({', '.join(map(str, steps[:5]))}) can be read")
    best = {name: np.asarray(array) for name, array in flat.items() if name.partition(".")[0] == "best_prompt"}
    if not best:
        raise InputError(f"{folder}: checkpoint {step} holds {sorted(flat)}, but no best_prompt")
    members = {len(array) if array.ndim > 2 else 0 for array in best.values()}
    if members != {1}:
        raise InputError(
            f"{folder} holds a population of {max(members)} prompts; give the checkpoints of one run's folder"
        )
    return {name.removeprefix("best_prompt").removeprefix("."): array[0] for name, array in best.items()}


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
    noted = {name: text for name, text in metadata.items() if name != DIGEST}
    digest.update(canonical_json(noted) if noted else b"")
    return digest.hexdigest()
