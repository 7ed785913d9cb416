"""A GGUF file: its metadata, and its tensors dequantised one at a time."""

from __future__ import annotations

import collections
import functools
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quant_shape_to_byte_shape

from ipt_jax.errors import InputError

# GGUF's numbers for kinds of values; the scalars with their letters in `struct`.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)


class GgufFile:
    """A `TensorSource` over a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).

    The header is read here because `gguf.GGUFReader` makes several arrays for every string: two seconds for a
    vocabulary of 49,152 tokens. The values are dequantised by the `gguf` package.

    Attributes:
      label: the path, for messages.
      fields: metadata, key → number, text, truth value or list.
      quantisation: name of the type that most of the weights are stored in, such as `Q4_1`.
    """

    def __init__(self, path: Path):
        self.label = str(path)
        try:
            data = np.asarray(np.memmap(path, mode="r"))  # plain: every slice of a memmap costs a microsecond
            header = _Header(data)
            self.fields, self._tensors = header.fields, header.tensors
        except (struct.error, ValueError, TypeError, OSError, OverflowError, MemoryError, RecursionError) as error:
            raise InputError(f"{path} is not a whole GGUF file ({error}); download it again") from error
        need = max((start + size for _, _, start, size in self._tensors.values()), default=0)
        if need > data.size:
            raise InputError(
                f"{path} is truncated: it has {data.size} bytes where its header promises {need}; download it again"
            )
        weights: collections.Counter[str] = collections.Counter()
        for kind, shape, _, _ in self._tensors.values():
            weights[kind.name] += math.prod(shape) if len(shape) > 1 else 0
        self.quantisation = weights.most_common(1)[0][0] if weights else "nothing"

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape. Raises InputError for a kind of quantisation that the `gguf` package cannot undo."""
        kind, shape, _, _ = self._tensors[name]
        if not _readable(kind):
            raise InputError(f"tensor {name} is stored as {kind.name}, which cannot be read")
        return shape

    def read(self, name: str) -> np.ndarray:
        """The tensor as float32, its axes as in torch (GGUF lists them backwards)."""
        kind, shape, start, size = self._tensors[name]
        # Read, not mapped: the pages of a mapped file count as memory of the process.
        raw = np.fromfile(self.label, np.uint8, size, offset=start).reshape(quant_shape_to_byte_shape(shape, kind))
        return dequantize(raw, kind).reshape(shape)


@functools.cache
def _readable(kind: GGMLQuantizationType) -> bool:
    """Whether the `gguf` package dequantises this kind: found out on one block of zeros."""
    block = np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8)
    try:
        dequantize(block, kind)
    except NotImplementedError:
        return False
    return True


class _Header:
    """Reads a header front to back: metadata, the list of tensors, and where their bytes are."""

    def __init__(self, data: np.ndarray):
        self._data, self._at = data, 0
        magic, version, tensors, fields = self._unpack("4sIQQ")
        if magic != b"GGUF" or version not in _VERSIONS:
            raise ValueError(f"it starts with {magic!r}, version {version}; expected b'GGUF', version 2 or 3")
        self.fields: dict[str, Any] = {}
        for _ in range(fields):
            key = self._string()
            self.fields[key] = self._value(self._unpack("I")[0])
        listed = [self._tensor() for _ in range(tensors)]
        alignment = self.fields.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise ValueError(f"its general.alignment={alignment!r} is no power of two")
        begin, end = -(-self._at // alignment) * alignment, 0
        for name, _, _, offset, size in sorted(listed, key=lambda tensor: tensor[3]):
            if offset != end:  # as ggml has it: no hole but for the alignment, and nothing twice
                raise ValueError(f"tensor {name} begins at byte {offset} of the data instead of {end}")
            end = -(-(offset + size) // alignment) * alignment
        self.tensors = {name: (kind, shape, begin + offset, size) for name, kind, shape, offset, size in listed}
        if len(self.tensors) < len(listed):
            raise ValueError("it has two tensors of one name")

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        if self._at + length > self._data.size:
            raise ValueError("it ends inside a text")
        text = bytes(self._data[self._at : self._at + length]).decode("utf-8")
        self._at += length
        return text

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            element, count = self._unpack("IQ")
            if element in _SCALARS:
                return list(self._unpack(f"{count}{_SCALARS[element]}"))
            return [self._value(element) for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"it has a field of the unknown kind {kind}")
        return self._unpack(_SCALARS[kind])[0]

    def _tensor(self) -> tuple[str, GGMLQuantizationType, tuple[int, ...], int, int]:
        name = self._string()
        (axes,) = self._unpack("I")
        shape = self._unpack(f"{axes}Q")[::-1]
        kind, offset = self._unpack("IQ")
        kind = GGMLQuantizationType(kind)
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if axes > 4 or math.prod(shape[-1:]) % block:
            raise ValueError(f"tensor {name} of shape {shape} does not fit the blocks of {kind.name}")
        return name, kind, shape, offset, math.prod(shape) // block * block_bytes
