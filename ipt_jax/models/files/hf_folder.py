"""A Hugging Face folder: its JSON files, and its weights files as one source of tensors."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.models.files.safetensors import SafetensorsFile
from ipt_jax.models.files.torch_bin import TorchBinFile
from ipt_jax.workdir.json_text import check_characters

# Names of a single weights file, the preferred one first; that of an index of shards adds `.index.json`.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, {} where there is no such file. Raises InputError for anything else."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        check_characters(text, content)
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__} where an object is expected; download it again")
    return content


class WeightsFolder:
    """A `TensorSource` over the weights of a Hugging Face folder: one file, or the shards that an index lists.

    Attributes:
      label: the folder, for messages.
      files: the weights files, sorted.
    """

    def __init__(self, folder: Path, prefix: str):
        """Opens the files and reads their headers; no tensor is read.

        Args:
          folder: a Hugging Face model folder.
          prefix: what the names of the decoder's own tensors start with (`transformer.`). A checkpoint of the bare
            model lacks it, as `gpt2` on the hub does; its names are given the prefix.

        Raises:
          InputError: naming the file, if one is missing, truncated or damaged.
        """
        self.label = str(folder)
        self.files, listed = weights_files(folder)
        self._where: dict[str, tuple[SafetensorsFile | TorchBinFile, str]] = {}
        held: dict[str, list[str]] = {}  # tensor → the files that have it
        self._opened: list[SafetensorsFile | TorchBinFile] = []
        for path in self.files:
            file = SafetensorsFile(path) if path.suffix == ".safetensors" else TorchBinFile(path)
            self._opened.append(file)
            for name in file.names():
                held.setdefault(name, []).append(path.name)
                if listed.get(name, path.name) == path.name:
                    self._where[name] = file, name
        lacking = [name for name, file in listed.items() if file not in held.get(name, ())]
        twice = [name for name, files in held.items() if len(files) > 1 and name not in listed]
        if lacking:
            name = lacking[0]
            raise InputError(
                f"{folder}: tensor {name} is missing in {listed[name]}, where the index has it (as are "
                f"{len(lacking) - 1} others); the files are of different models, or damaged: download them again"
            )
        if twice:
            raise InputError(f"{folder}: tensor {twice[0]} is in {' and in '.join(held[twice[0]])}; keep one of them")
        if not any(name.startswith(prefix) for name in self._where):
            heads = ("lm_head.", "embed_out.")
            self._where = {
                name if name.startswith(heads) else prefix + name: entry for name, entry in self._where.items()
            }

    def names(self) -> Iterable[str]:
        return self._where.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        file, stored_name = self._where[name]
        return file.shape(stored_name)

    def read(self, name: str) -> np.ndarray:
        file, stored_name = self._where[name]
        return file.read(stored_name)

    def digest(self) -> str:
        """SHA-256 over config.json and the bytes of the weights files."""
        hashes = hashlib.sha256(hashlib.sha256((Path(self.label) / "config.json").read_bytes()).digest())
        for file in self._opened:
            hashes.update(file.digest())
        return hashes.hexdigest()


def weights_files(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The files that hold a folder's weights, sorted, and what an index says: tensor → name of its file.

    Raises:
      InputError: if there are none, some are missing, or an index is none.
    """
    for single in WEIGHTS:
        if (folder / single).exists():
            return [folder / single], {}
        index = folder / f"{single}.index.json"
        if index.exists():
            return _shards(index)
    raise InputError(
        f"{folder} has none of {', '.join(f'{single}, {single}.index.json' for single in WEIGHTS)}; "
        "download the first, or the second with the files it lists"
    )


def _shards(index: Path) -> tuple[list[Path], dict[str, str]]:
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise InputError(f"{index} has no weight_map; download it again")
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    for tensor, name in where.items():
        # A name and no path: nothing outside the folder is opened.
        if not isinstance(name, str) or name != Path(name).name or Path(name).suffix != suffix:
            raise InputError(
                f"{index}: tensor {tensor} is said to be in {str(name)!r}, which is no name of a {suffix} file; "
                "download it again"
            )
    shards = sorted(set(where.values()))
    missing = [name for name in shards if not os.path.isfile(index.parent / name)]  # Path.is_file raises for some names
    if missing:
        raise InputError(
            f"{index.parent} lacks {', '.join(missing)}, listed in {index.name}; download the missing files"
        )
    return [index.parent / name for name in shards], where
