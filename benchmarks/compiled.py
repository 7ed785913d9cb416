"""What a compiled program holds: the collectives in its HLO text, with bytes, mesh axis and how often each runs.

A program is compiled for shapes alone, so that one for 64 devices and 7 billion parameters can be read on a laptop.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "f32": 4}
_BYTES |= {"s64": 8, "u64": 8, "f64": 8, "c64": 8}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (\(.*?\)|\S+) ([\w\-]+)\(")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? \{([^}]*)\}")
_AXIS = re.compile(r"'([^']+)'(?:=(\d+))?(?::\((\d+)\)(\d+))?")
_LISTED = re.compile(r"replica_groups=\{((?:\{[\d,]*\},?)*)\}")
_PAIRS = re.compile(r"source_target_pairs=\{((?:\{[\d,]*\},?)*)\}")
_ORIGIN = re.compile(r'op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A collective of a program; of one that exchanges several arrays at once, each array's.

    Attributes:
      kind: one of `KINDS`.
      bytes: of what one device ends up with.
      groups: the devices that exchange with one another, by their place in the mesh.
      runs: how often it takes place in one run of the program; a loop of unknown length counts as one round.
      origin: the operation that it was made for, as jax names it.
    """

    kind: str
    bytes: int
    groups: tuple[tuple[int, ...], ...]
    runs: int
    origin: str

    def axis(self, data: int, model: int) -> str:
        """Along which axis of a mesh [data, model] the groups lie: `data`, `model` or `data, model`; else `other`."""
        places = np.arange(data * model).reshape(data, model)
        found = {frozenset(group) for group in self.groups}
        named = {"data": places.T, "model": places, "data, model": places.reshape(1, -1)}
        return next((name for name, rows in named.items() if found == {frozenset(r) for r in rows.tolist()}), "other")


def exchanges(text: str) -> list[Exchange]:
    """The collectives of a program.

    Args:
      text: the optimised HLO of one device's program, `compiled.as_text()`.
    """
    computations, entry = _computations(text)
    return list(_of(computations, entry, 1))


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """The instructions of each computation, and the name of the one that the program begins with."""
    found: dict[str, list[str]] = {}
    entry, lines = "", None
    for line in text.splitlines():
        begun = _COMPUTATION.match(line)
        if begun:
            lines = found[begun[2]] = []
            entry = begun[2] if begun[1] else entry
        elif line.startswith("}"):
            lines = None
        elif lines is not None:
            lines.append(line)
    return found, entry


def _of(computations: dict[str, list[str]], name: str, runs: int) -> Iterator[Exchange]:
    for line in computations[name]:
        instruction = _INSTRUCTION.match(line)
        if instruction is None:
            continue
        shape, operation = instruction.groups()
        kind = operation.removesuffix("-start")
        if kind in KINDS:
            origin = _ORIGIN.search(line)
            for size in _sizes(shape, only_last=operation != kind and kind != "all-reduce"):
                yield Exchange(kind, size, _groups(line), runs, origin[1] if origin else "")
        trips = _TRIPS.search(line) if operation == "while" else None
        for called in _called(line):
            if called in computations:
                yield from _of(computations, called, runs * (int(trips[1]) if trips else 1))


def _called(line: str) -> list[str]:
    branches = _BRANCHES.search(line)
    listed = [name.strip().removeprefix("%") for name in branches[1].split(",")] if branches else []
    return [*_CALLED.findall(line), *listed]


def _sizes(shape: str, only_last: bool) -> list[int]:
    """Bytes of a shape, or of each of a tuple; of the tuple's last alone where it begins with the operands."""
    sizes = [
        _BYTES[kind] * math.prod(int(size) for size in sizes.split(",") if size)
        for kind, sizes in _SHAPE.findall(shape)
        if kind in _BYTES
    ]
    return sizes[-1:] if only_last else sizes


def _groups(line: str) -> tuple[tuple[int, ...], ...]:
    if iota := _IOTA.search(line):
        return _rows(_iota(*iota.groups()[1:]).reshape(_numbers(iota[1])))
    if mesh := _MESH.search(line):
        return _along(*mesh.groups())
    if pairs := _PAIRS.search(line):
        return _connected(_listed(pairs[1]))
    listed = _LISTED.search(line)
    if listed is None:
        raise ValueError(f"a collective whose groups are not understood: {line.strip()[:300]}")
    return _listed(listed[1])


def _numbers(text: str | None) -> list[int]:
    return [int(number) for number in (text or "").split(",") if number]


def _iota(over: str, order: str | None) -> np.ndarray:
    """0, 1, 2, … in the shape `over`, its axes then in another order."""
    shape = _numbers(over)
    places = np.arange(math.prod(shape)).reshape(shape)
    return places.transpose(_numbers(order)) if order else places


def _rows(places: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, places.tolist()))


def _along(mesh: str, over: str | None, order: str | None, axes: str) -> tuple[tuple[int, ...], ...]:
    """Groups along some axes of a mesh, or along parts of them.

    Worked example: along `'a'` of `'a'=2,'b'=3` there are the groups 0 3, 1 4 and 2 5; along `'b':(1)3` all of b.
    """
    sizes = {name: int(size) for name, size, _, _ in _AXIS.findall(mesh)}
    along = {name: (int(before or 1), int(size or sizes[name])) for name, _, before, size in _AXIS.findall(axes)}
    shape, chosen = [], []
    for name, size in sizes.items():  # each axis as what stands before the part, the part, and what stands behind it
        before, part = along.get(name, (1, 1))
        chosen.append(len(shape) + 1)
        shape += [before, part, size // (before * part)]
    places = _iota(over or str(math.prod(shape)), order).reshape(shape)
    others = [axis for axis in range(len(shape)) if axis not in chosen]
    return _rows(places.transpose(*others, *chosen).reshape(-1, math.prod(shape[axis] for axis in chosen)))


def _listed(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in group.split(",") if n) for group in re.findall(r"\{([\d,]*)\}", text))


def _connected(pairs: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Devices that hand something on to one another, directly or through others."""
    groups: list[set[int]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if not group & set(pair)]
        groups.append(set(pair).union(*touched))
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def summary(found: Sequence[Exchange], data: int, model: int) -> dict[tuple[str, str, int], int]:
    """(kind, axis, bytes) → how often."""
    keys = sorted((each.kind, each.axis(data, model), each.bytes, each.runs) for each in found)
    grouped = itertools.groupby(keys, key=lambda key: key[:3])
    return {key: sum(runs for *_, runs in rows) for key, rows in grouped}
