"""A `pytorch_model.bin`, read by torch where it is installed, as data only."""

from __future__ import annotations

import hashlib
import types
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ipt_jax.errors import InputError

_DTYPES = ("torch.bfloat16", "torch.float16", "torch.float32")


class TorchBinFile:
    """The tensors of a state dict that `torch.save` wrote. Only `weights_only=True` is used: no code of a file runs."""

    def __init__(self, path: Path):
        """Opens the file; the tensors stay on the disk until they are read, except for files of torch before 1.6.

        Raises:
          InputError: if torch is not installed, or the file is damaged or holds something else than tensors.
        """
        self._torch, self._path = require_torch(path), path
        try:
            tensors = self._torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except Exception as error:  # what a damaged pickle makes torch raise has no common kind
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"{path} is truncated, damaged, or holds more than tensors ({reason}); "
                "download it again, or a model.safetensors instead"
            ) from error
        if not isinstance(tensors, dict) or not all(isinstance(t, self._torch.Tensor) for t in tensors.values()):
            raise InputError(f"{path} holds something else than tensors by name; use a model.safetensors instead")
        self._tensors: dict[str, Any] = tensors

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape. Raises InputError for a type other than bfloat16, float16 and float32."""
        dtype = str(self._tensors[name].dtype)
        if dtype not in _DTYPES:
            raise InputError(f"tensor {name} is stored as {dtype}; supported: {', '.join(_DTYPES)}")
        return tuple(self._tensors[name].shape)

    def read(self, name: str) -> np.ndarray:
        """The tensor in the type it is stored in."""
        tensor = self._tensors[name]
        if str(tensor.dtype) == "torch.bfloat16":  # which NumPy lacks: the same bits under another name
            return tensor.view(self._torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


def require_torch(what: Path | str) -> types.ModuleType:
    """The module torch. Raises InputError, with the ways out, where it is not installed."""
    try:
        import torch  # an extra: nothing else needs it
    except ImportError as error:
        raise InputError(
            f"{what} can only be read with torch, which is not installed; run: pip install torch\n"
            "  or convert it to model.safetensors where torch is, and put that into a folder with the other files"
        ) from error
    return torch
