"""LoRA added to the weights of a Hugging Face folder, for programs that know no adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ipt_jax.adapters.peft import CONV1D, lora_tensors
from ipt_jax.adapters.trained import TrainedAdapter, checked_for
from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.files.hf_folder import WeightsFolder
from ipt_jax.models.files.locate import locate
from ipt_jax.models.files.safetensors import DTYPES
from ipt_jax.workdir.disk import make_folder, writing

_BESIDE = ("*.json", "*.txt", "*.model", "*.jinja")  # config, tokenizer, its template
_NOT_BESIDE = ("*.index.json", "adapter_config.json")
_NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}


def write_merged(adapter: TrainedAdapter, source: str, output: Path) -> int:
    """Writes the folder of a language model with its weights changed; they keep their names and their types.

    Every tensor is read, changed and written by itself. What is added is computed in float32, and rounded once to the
    tensor's type: in bfloat16 a small LoRA may be lost in part.

    Args:
      source: a Hugging Face folder, or a hub id.

    Returns:
      How many tensors were changed.

    Raises:
      InputError: the adapter is no LoRA or of another model, the source is no folder of weights, or nothing can be
        written.
    """
    if adapter.kind != "lora":
        raise InputError(f"--format=merged: a {adapter.kind} is no change of weights; choose safetensors or peft")
    lm, folder = loading.outline(source), locate(source, "", weights=True)
    if not folder.is_dir():
        raise InputError(f"--format=merged: {source} is no Hugging Face folder, whose weights could be written anew")
    tensors, _, _ = lora_tensors(checked_for(adapter, lm), lm)
    changes = {name.rpartition(".lora_")[0].removeprefix("base_model.model.") for name in tensors}
    files = WeightsFolder(folder, loading.HF_FAMILIES[lm.family].HF_PREFIX)
    held = list(files.names())
    if missing := sorted(f"{name}.weight" for name in changes if f"{name}.weight" not in held):
        raise InputError(
            f"{folder} has no tensor {missing[0]} (nor {len(missing) - 1} others that the adapter changes)"
        )
    make_folder(output)
    with writing(output / "model.safetensors"):
        _write(files, _Change(changes, tensors, lm.family in CONV1D), output / "model.safetensors")
    for pattern in _BESIDE:
        for path in folder.glob(pattern):
            if not any(path.match(other) for other in _NOT_BESIDE):
                shutil.copyfile(path, output / path.name)
    return len(changes)


class _Change(NamedTuple):
    """What is added: modules, PEFT's tensors of them, and whether weights are kept [in, out]."""

    modules: set[str]
    tensors: dict[str, np.ndarray]
    turned: bool

    def of(self, name: str, array: np.ndarray) -> np.ndarray:
        """The tensor of a name, changed or not, in its type."""
        module = name.removesuffix(".weight")
        if module not in self.modules:
            return array
        a, b = (self.tensors[f"base_model.model.{module}.lora_{part}.weight"] for part in "AB")
        delta = b.astype(np.float64) @ a.astype(np.float64)
        return (array.astype(np.float32) + (delta.T if self.turned else delta)).astype(array.dtype)


def _write(files: WeightsFolder, change: _Change, path: Path) -> None:
    """All tensors as one safetensors file, one in memory at a time."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    held, end = list(files.names()), 0
    for name in held:
        array = files.read(name)
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in held:
            file.write(np.ascontiguousarray(change.of(name, files.read(name))).tobytes())
    partial.replace(path)
