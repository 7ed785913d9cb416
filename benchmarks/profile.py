"""Where the time of a piece of work goes: seconds by kind of kernel, from jax's own profiler."""

from __future__ import annotations

import collections
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

# Lines of a trace on which kernels stand, by how their names begin: CPU threads, streams of a GPU, a TPU's core.
_LINES = ("tf_XLA", "Stream", "XLA Ops")
_NO_KERNELS = ("end: ", "Threadpool", "ThunkExecutor")


def kernels(work: Callable[[], Any], most: int = 12) -> list[dict[str, Any]]:
    """The kinds of kernel that `work` spends most time in; `share` is of the time of all kernels.

    Kernels that only call others (loops, calls) are counted beside what they call: shares may sum to more than 1.
    """
    seconds: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            work()
        for path in Path(folder).rglob("*.xplane.pb"):
            for name, duration in _events(path):
                seconds[name] += duration
    total = sum(seconds.values())
    return [{"kernel": name, "seconds": s, "share": s / total} for name, s in seconds.most_common(most)]


def _events(path: Path) -> Iterator[tuple[str, float]]:
    """Kind and seconds of each kernel: `fusion` for `fusion.12`."""
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            if line.name.startswith(_LINES):
                for event in line.events:
                    if not event.name.startswith(_NO_KERNELS):
                        yield re.sub(r"[._]?\d+(\.clone)?$", "", event.name), event.duration_ns * 1e-9
