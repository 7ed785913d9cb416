"""What memory a device has, and what arrays take of it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import jax

# Of what a device has, the share that training may take: compiled programs and the runtime need the rest.
USABLE_OF_DEVICE, _USABLE_OF_HOST = 0.9, 0.8


def device_budget(gigabytes: float = 0.0) -> int:
    """Bytes that training may take on one device: those given, or a stated share of what the device has.

    A CPU's devices share the machine's memory, or what its container may use of it.
    """
    if gigabytes:
        return int(gigabytes * 1e9)
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit:
        return int(USABLE_OF_DEVICE * limit)
    return int(_USABLE_OF_HOST * _host_memory() / jax.local_device_count())


def bytes_on_device(params: Any) -> int:
    """Of arrays as they lie over a mesh, the bytes that one device holds."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)
    )


def _host_memory() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    container = Path("/sys/fs/cgroup/memory.max")
    try:
        return min(physical, int(container.read_text()))
    except (OSError, ValueError):  # no such file, or the word "max"
        return physical
