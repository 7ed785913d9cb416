"""A trained adapter of any kind: on disk, in memory, and as what the decoder gets of it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.adapters import peft
from ipt_jax.adapters.files import Prompt, best_of_orbax, check_fingerprint, check_prompt, load_prompt
from ipt_jax.adapters.injection import Injection
from ipt_jax.adapters.kinds import KINDS
from ipt_jax.adapters.peft import PeftAdapter
from ipt_jax.errors import InputError
from ipt_jax.models.files.safetensors import SafetensorsFile, tensors_as_bytes
from ipt_jax.workdir.disk import writing
from ipt_jax.workdir.json_files import write_bytes
from ipt_jax.workdir.json_text import canonical_json
from ipt_jax.workdir.orbax_files import DIGEST, digest_of, steps_of

if TYPE_CHECKING:
    from ipt_jax.models.loading import FrozenLM

FILE = "adapter.safetensors"


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedAdapter:
    """What was trained of one member, of any kind but the soft prompt, which is a `Prompt`.

    Attributes:
      kind: a key of `kinds.KINDS`.
      arrays: f32, by name, as the `fold` of its kind gives them for one member: of a prefix `keys` and `values`
        [L, P, G, H]; of LoRA `PLACE.down` [L, in, r] and `PLACE.up` [L, r, out], the scale in it.
      model, fingerprint: see `FrozenLM`; empty where nothing says it.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    model: str = ""
    fingerprint: str = ""

    @property
    def numbers(self) -> int:
        """How many it has."""
        return sum(array.size for array in self.arrays.values())

    def digest(self) -> str:
        """SHA-256 of what it is."""
        return digest_of(dict(self.arrays)).tobytes().hex()


def save_adapter(path: Path, adapter: TrainedAdapter, metadata: Mapping[str, str]) -> None:
    """Writes an adapter's arrays as float32 safetensors, atomically; equal adapters give equal bytes.

    Args:
      metadata: texts to write beside them. The model and its fingerprint are written in any case where they are known.

    Raises:
      InputError: an array is not finite, or the file cannot be written.
    """
    arrays = {name: _checked(adapter.arrays[name], Path(path), name) for name in sorted(adapter.arrays)}
    known = {"model": adapter.model, "model_fingerprint": adapter.fingerprint} if adapter.fingerprint else {}
    noted = {name: str(text) for name, text in sorted({**known, **metadata, "kind": adapter.kind}.items())}
    noted |= {DIGEST: _digest(arrays, noted)}
    with writing(path):
        write_bytes(path, tensors_as_bytes(arrays, noted))


def load_adapter(source: str | Path) -> Prompt | TrainedAdapter | PeftAdapter:
    """Reads whatever was trained: a soft prompt as `load_prompt` does, and the other kinds by what they say they are.

    Args:
      source: a run folder of ours, a `.safetensors` file, a PEFT folder (prompt tuning, p-tuning, prefix tuning, LoRA),
        or what else `load_prompt` reads.

    Raises:
      InputError: nothing there, damaged, or of a kind that this version does not know.
    """
    if not isinstance(source, str | Path):
        raise InputError(f"an adapter is read from a path, not from {source!r}")
    path = Path(source)
    if os.path.isdir(path) and (path / FILE).is_file():
        return _from_file(path / FILE)
    if os.path.isfile(path) and path.suffix == ".safetensors" and "kind" in SafetensorsFile(path).metadata:
        return _from_file(path)
    if peft.is_folder_of(path):
        return peft.read_folder(path)
    beside = path.parent / FILE
    if os.path.isdir(path) and beside.is_file() and (steps := steps_of(path)):
        told = SafetensorsFile(beside).metadata
        arrays = best_of_orbax(path, steps)
        return TrainedAdapter(_kind(told, beside), arrays, told.get("model", ""), told.get("model_fingerprint", ""))
    return load_prompt(path)


def injection_of(adapter: np.ndarray | TrainedAdapter | PeftAdapter | None, lm: FrozenLM) -> Injection:
    """What the decoder gets of one adapter (K = 1); none is a prompt of no rows.

    Raises:
      InputError: it is another model's, or does not fit this one; see `check_prompt`.
    """
    if not isinstance(adapter, TrainedAdapter | PeftAdapter):
        return Injection(jnp.asarray(check_prompt(adapter, lm))[None])
    return KINDS[adapter.kind].inject(jax.tree.map(lambda x: jnp.asarray(x)[None], checked_for(adapter, lm)))


def checked_for(adapter: TrainedAdapter | PeftAdapter, lm: FrozenLM) -> dict[str, np.ndarray]:
    """The arrays of an adapter that fits this model. Raises InputError where it does not, naming what."""
    if isinstance(adapter, PeftAdapter):
        arrays = adapter.arrays_for(lm)
    else:
        check_fingerprint("the adapter", adapter.model, adapter.fingerprint, lm)
        arrays = dict(adapter.arrays)
    if wrong := KINDS[adapter.kind].misfit(arrays, lm.decoder.config):
        raise InputError(f"the adapter ({adapter.kind}) does not fit {lm.name}: {wrong}")
    return arrays


def _from_file(path: Path) -> TrainedAdapter:
    try:
        file = SafetensorsFile(path)
        arrays = {name: _checked(file.read(name), path, name) for name in sorted(file.names())}
    except InputError as error:
        raise InputError(f"{path} cannot be read as an adapter: {error}") from error
    if file.metadata.get(DIGEST) not in (None, _digest(arrays, file.metadata)):
        raise InputError(f"{path} is damaged: its content is not what was written; make it again")
    told = file.metadata
    return TrainedAdapter(_kind(told, path), arrays, told.get("model", ""), told.get("model_fingerprint", ""))


def _kind(metadata: Mapping[str, str], path: Path) -> str:
    kind = metadata.get("kind", "")
    if kind not in KINDS:
        raise InputError(f"{path}: its kind is {kind!r}; this version knows {', '.join(KINDS)}")
    return kind


def _checked(array: np.ndarray, path: Path, name: str) -> np.ndarray:
    if not array.size or not jnp.issubdtype(array.dtype, np.floating):
        raise InputError(f"{path}: {name} is {array.dtype}{list(array.shape)}, and no array of floats")
    with np.errstate(over="ignore"):  # what is beyond float32 is infinite there
        wide = np.array(array, np.float32, order="C")
    if not np.isfinite(wide).all():
        raise InputError(f"{path}: {name} has entries that are not finite in float32")
    return wide


def _digest(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """SHA-256 of the arrays and of what is noted beside them."""
    digest = hashlib.sha256(digest_of(dict(arrays)).tobytes())
    digest.update(canonical_json({name: text for name, text in metadata.items() if name != DIGEST}))
    return digest.hexdigest()
