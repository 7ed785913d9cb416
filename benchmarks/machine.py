"""Prints what this machine is and how fast it multiplies: `python -m benchmarks.machine`.

A table of speed says little without it. The rate is that of float32 products of 2,048 × 2,048 matrices, the best of
several because other work can only slow one down; through XLA, which this package computes with, and through NumPy,
whose library for linear algebra is another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.runtime.accelerators import describe_devices

SIZE, ROUNDS = 2048, 10
# From the widest down: a processor's flags in /proc/cpuinfo, and XLA's name for what they mean.
_INSTRUCTION_SETS = {"avx512f": "AVX512", "avx2": "AVX2", "avx": "AVX", "sse4_2": "SSE4_2"}


def machine() -> dict[str, Any]:
    """Processor, instruction set, cores, devices, and the two rates in GFLOP/s."""
    said = cpuinfo(Path("/proc/cpuinfo"))
    flags = said.get("flags", "").split()
    return {
        "processor": said.get("model name") or platform.processor() or platform.machine(),
        "instruction_set": instruction_set(flags),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "devices": describe_devices(),
        "xla_gflops": xla_rate(),
        "numpy_gflops": numpy_rate(),
    }


def cpuinfo(path: Path) -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def instruction_set(flags: Sequence[str]) -> str:
    """The widest one that a processor with these flags has."""
    return next((name for flag, name in _INSTRUCTION_SETS.items() if flag in flags), "unknown")


def xla_rate() -> float:
    """GFLOP/s of jax's default device, at the precision of float32 that the device has by default."""
    left, right = jnp.ones((SIZE, SIZE), jnp.float32), jnp.ones((SIZE, SIZE), jnp.float32)
    product = jax.jit(jnp.matmul).lower(left, right).compile()
    return rate(lambda: product(left, right).block_until_ready())


def numpy_rate() -> float:
    """GFLOP/s of NumPy on this machine's processor."""
    left, right = np.ones((SIZE, SIZE), np.float32), np.ones((SIZE, SIZE), np.float32)
    return rate(lambda: left @ right)


def rate(product: Callable[[], Any]) -> float:
    """GFLOP/s of the fastest of several products."""
    product()
    seconds = []
    for _ in range(ROUNDS):
        started = perf_counter()
        product()
        seconds.append(perf_counter() - started)
    return 2 * SIZE**3 / min(seconds) / 1e9


def sentence(found: dict[str, Any]) -> str:
    """The line that stands beside a table."""
    limited = f" ({found['xla_flags']})" if found["xla_flags"] else ""
    return (
        f"{found['processor']}, {found['instruction_set']}{limited}, {found['devices']}: "
        f"{found['xla_gflops']:.0f} GFLOP/s in float32 through XLA, {found['numpy_gflops']:.0f} through NumPy"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON with unrounded numbers")
    as_json = parser.parse_args().json  # before anything is measured
    found = machine()
    print(json.dumps(found) if as_json else sentence(found))


if __name__ == "__main__":
    main()
