"""Large pages for a CPU's arrays: what a step takes from the system, it gives back, and must touch anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import jax

# A step of SmolLM2 135M on 8 rows of 306 positions takes and gives back 1.5 GB. In pages of 4 KB that is 373,000 page
# faults a step; beside another program, whose pages are mixed with its own, 1.4 to 3.2 s of 8 s of processor time.
# With this: 2,700 faults, 0.2 s.
VARIABLE, VALUE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def advice(environment: Mapping[str, str] = os.environ, policy: Path = _POLICY) -> str:
    """What to set before the program starts so that a CPU's steps take large pages; empty where that changes nothing.

    A Linux kernel gives large pages to every program ("always"), to none ("never"), or to those that ask ("madvise");
    the C library asks where it is told to before it is loaded.
    """
    if jax.default_backend() != "cpu" or "hugetlb" in environment.get(VARIABLE, ""):
        return ""
    try:
        asked_for = "[madvise]" in policy.read_text(encoding="utf-8")
    except OSError:  # another system
        return ""
    return f"steps on a CPU are faster with large pages: start with {VARIABLE}={VALUE}" if asked_for else ""
