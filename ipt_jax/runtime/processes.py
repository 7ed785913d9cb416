"""One program on many hosts: how it starts, and how the first process's word reaches the others.

Every process runs the same program on its own part of one mesh. The first one, and no other, reads and writes the
working directory; what it reads there and all must know is sent to the others as JSON or as the bytes of arrays, so
that the hosts need no disk in common. What fails on one process must end all: the calls below raise everywhere what
they raise anywhere, and a process that is gone is noticed by jax's heartbeats.

With one process everything here is a plain call.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from ipt_jax.errors import InputError

# A process without a heartbeat for so long counts as dead, and so long one that ends waits for the others: together
# less than a minute.
HEARTBEAT_SECONDS, SHUTDOWN_SECONDS = 30, 25
# Messages are padded to a power of two from here on: each size is a program to compile.
_LEAST_ROOM = 1024

T = TypeVar("T")
_points = itertools.count(1)


def start(
    distributed: bool, coordinator_address: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Makes this process one of many, if that is wanted. To be called before jax is asked for a device.

    Args:
      distributed: whether there are other processes.
      coordinator_address: HOST:PORT, where the first process waits for the others.
      num_processes: how many there are.
      process_id: which one this is, from 0. All three may be None on TPU slices and under SLURM, where jax knows them.

    Raises:
      InputError: they do not go together, or the processes do not find each other.
    """
    given = {
        "coordinator_address": coordinator_address,
        "num_processes": num_processes,
        "process_id": process_id,
    }
    named = ", ".join(f"--{name}={value}" for name, value in given.items() if value is not None)
    if not distributed:
        if named:
            raise InputError(f"{named}: this is for several processes; add --distributed, or leave it out")
        return
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if named and missing:
        raise InputError(
            f"{named} without {' and '.join(missing)}: give all three, or none on a TPU slice or under SLURM, where "
            "jax finds them out"
        )
    if named:
        _check(coordinator_address, num_processes, process_id)
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except ValueError as error:
        raise InputError(
            f"--distributed: this is neither a TPU slice nor a SLURM job that jax knows ({error}); give "
            "--coordinator_address=HOST:PORT, --num_processes=N and --process_id=I"
        ) from error
    except jax.errors.JaxRuntimeError as error:
        raise InputError(
            f"--distributed: the processes did not find each other ({error}); all need the same coordinator address, "
            "a port of the first one's host that is free there and that the others can reach"
        ) from error


def _check(coordinator_address: str, num_processes: int, process_id: int) -> None:
    if not re.fullmatch(r"\S+:\d+", coordinator_address):
        raise InputError(f"--coordinator_address={coordinator_address} must be HOST:PORT, such as 10.0.0.1:8476")
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"--process_id={process_id} must be one of 0 to {num_processes - 1}: --num_processes={num_processes}"
        )


def several() -> bool:
    return jax.distributed.is_initialized() and jax.process_count() > 1  # the latter alone would look for devices


def is_first() -> bool:
    """Whether this is the process that writes: files, progress, messages."""
    return not several() or jax.process_index() == 0


def meet() -> None:
    """Opens the connections between the processes, right after they have found each other's devices.

    Later they may come to a call minutes apart: one compiles longer, or has a report to write. On CPUs the library
    that connects them, gloo, waits 30 seconds for a process when a connection is opened, and only then.
    """
    everywhere(True)
    from_first(lambda: None)


def from_first(read: Callable[[], T]) -> T:
    """Calls `read` on the first process and returns there what it returns, and elsewhere its JSON: tuples are lists.

    All processes must call this, and they wait here for the first one, so it also orders what follows a write after
    it. `read` must not come back to this function.

    Raises:
      whatever `read` raises; on the other processes InputError or RuntimeError with its message.
    """
    if not several():
        return read()
    value, error, told = None, None, {}
    if is_first():
        try:
            value = read()
            told = {"value": value}
        except Exception as raised:  # it is raised again below, when the others know
            error, told = raised, {"error": str(raised), "kind": type(raised).__name__}
    told = json.loads(_broadcast(json.dumps(told, default=_plain).encode()))
    if error is not None:
        raise error
    if "error" in told:
        kind = InputError if told["kind"] == "InputError" else RuntimeError
        raise kind(f"the first process reports: {told['error']}")
    return value if is_first() else told["value"]


def arrays_from_first(read: Callable[[], Any], like: Any = 0) -> Any:
    """Calls `read` on the first process; what it returns there, a tree of arrays or None, is returned on all.

    Args:
      like: a tree of the same structure; by default a single array.

    Returns:
      NumPy arrays, bit by bit those of the first process.
    """
    if not several():
        return read()
    found: list[np.ndarray] = []

    def describe() -> list[Any] | None:
        tree = read()
        if tree is None:
            return None
        found.extend(np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(tree))
        return [[list(leaf.shape), leaf.dtype.name] for leaf in map(np.asarray, jax.tree.leaves(tree))]

    described = from_first(describe)
    if described is None:
        return None
    content = _broadcast(b"".join(leaf.tobytes() for leaf in found))
    leaves, start = [], 0
    for shape, name in described:
        size = int(np.prod(shape, dtype=int)) * np.dtype(name).itemsize
        leaves.append(np.frombuffer(content[start : start + size], name).reshape(shape))
        start += size
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def on_all(work: Callable[[], T]) -> T:
    """Calls `work` on every process and returns what it returns there.

    Raises:
      InputError: one of them could not be carried out; every process names that one, and none waits for it.
    """
    if not several():
        return work()
    result, error = None, None
    try:
        result = work()
    except InputError as raised:
        error = raised
    for process, told in enumerate(_gather("" if error is None else str(error))):
        if told:
            raise InputError(f"process {process}: {told}") from error
    return result


def check_same(what: str, value: Any) -> None:
    """Raises InputError on all processes where one has another value (anything with a JSON form) than the first."""
    if not several():
        return
    told = _gather(json.dumps(value, default=_plain))
    others = [str(process) for process, text in enumerate(told) if text != told[0]]
    if others:
        raise InputError(
            f"process {', '.join(others)}: other {what} than the first process has; start all with the same command, "
            "version, config, data and weights"
        )


def everywhere(fact: bool) -> bool:
    """Whether it is so on every process."""
    return all(text == "yes" for text in _gather("yes" if fact else "no"))


def least(number: int) -> int:
    """The smallest of the processes' numbers."""
    return min(map(int, _gather(str(int(number)))))


def preempted() -> bool:
    """Whether SIGTERM came to one of several processes, and this is the point at which all of them leave.

    All processes must come by here equally often, between two pieces of work. It costs no communication: jax's
    preemption service tells them in the background, and agrees on the next point that none has passed yet.
    """
    return several() and multihost_utils.reached_preemption_sync_point(next(_points))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be sent to other processes")


def _broadcast(content: bytes) -> bytes:
    """What the first process has; the others' argument does not count."""
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    return multihost_utils.broadcast_one_to_all(_padded(content, size)).tobytes()[:size]


def _gather(text: str) -> list[str]:
    """Every process's text, in their order."""
    if not several():
        return [text]
    content = text.encode()
    sizes = multihost_utils.process_allgather(np.int32(len(content)))
    rows = multihost_utils.process_allgather(_padded(content, int(sizes.max())))
    return [row.tobytes()[:size].decode() for row, size in zip(rows, sizes.tolist(), strict=True)]


def _padded(content: bytes, size: int) -> np.ndarray:
    """u8 of the room that a message of `size` bytes has on every process."""
    room = np.zeros(max(_LEAST_ROOM, 1 << max(size - 1, 0).bit_length()), np.uint8)
    if len(content) <= len(room):  # what another process than the first has to say may be longer
        room[: len(content)] = np.frombuffer(content, np.uint8)
    return room
