"""A safetensors file: its header, and its tensors read one at a time."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from ipt_jax.errors import InputError

DTYPES: dict[str, Any] = {"BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32, "F64": np.float64}


class SafetensorsFile:
    """The tensors of a safetensors file (https://github.com/huggingface/safetensors#format).

    Whether it is one is for the `safetensors` package to say. The tensors are read here, into memory of their own:
    the package maps the whole file, and the pages of a mapped file that are looked at count as memory of the process.
    Loading would seem to take, and under a limit of memory does take, the size of the file on top of the model's.

    Attributes:
      metadata: texts by name, which the file has beside its tensors.
    """

    def __init__(self, path: Path):
        """Reads the header. Raises InputError if the file is truncated, damaged or something else."""
        self._path = path
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                self.metadata: dict[str, str] = dict(file.metadata() or {})
            with path.open("rb") as raw:
                length = int.from_bytes(raw.read(8), "little")
                header = json.loads(raw.read(length))
        except (safetensors.SafetensorError, OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} is truncated or damaged ({error}); download it again") from error
        header.pop("__metadata__", None)
        self._start, self._tensors = 8 + length, header
        self._hash, self._hashed = hashlib.sha256(), 0  # of the file's first so many bytes

    def names(self) -> Iterable[str]:
        """The tensors' names, in the order in which the file keeps them."""
        return sorted(self._tensors, key=lambda name: self._tensors[name]["data_offsets"])

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape. Raises InputError for a type that is not in `DTYPES`."""
        dtype = self._tensors[name]["dtype"]
        if dtype not in DTYPES:
            raise InputError(
                f"tensor {name} is stored as {dtype}; supported: {', '.join(DTYPES)} "
                "(quantised checkpoints are not; use the original one)"
            )
        return tuple(self._tensors[name]["shape"])

    def read(self, name: str) -> np.ndarray:
        """The tensor in the type it is stored in. Raises InputError for one that is not in `DTYPES`."""
        shape, tensor = self.shape(name), self._tensors[name]
        start = self._start + tensor["data_offsets"][0]
        array = np.fromfile(self._path, DTYPES[tensor["dtype"]], math.prod(shape), offset=start)
        self._hash_up_to(start)
        if self._hashed == start:  # else it was read before
            self._hash.update(array.view(np.uint8))
            self._hashed += array.nbytes
        return array.reshape(shape)

    def digest(self) -> bytes:
        """SHA-256 of the whole file. Tensors that were read in their order are not read again for it."""
        self._hash_up_to(self._path.stat().st_size)
        return self._hash.copy().digest()

    def _hash_up_to(self, end: int) -> None:
        if self._hashed < end:
            with self._path.open("rb") as file:
                file.seek(self._hashed)
                while piece := file.read(min(1 << 20, end - self._hashed)):
                    self._hash.update(piece)
                    self._hashed += len(piece)


def tensors_as_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file of float32 tensors, in the order given. Equal ones give equal bytes.

    Not by the safetensors package, which writes metadata in another order each time.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + 4 * array.size
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(array.astype("<f4").tobytes() for array in arrays.values())
