"""Prints XLA's flag for the instruction set that differs most from this machine's own, or nothing where there is none.

XLA_FLAGS=$(python tests/other_instruction_set.py) python -m pytest -m "numerics and not slow"
"""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def flag_for(machine: str, cpuinfo: str) -> str:
    """The flag for a machine (`platform.machine()`) whose processors say this of themselves.

    SSE4_2 is the oldest set that XLA knows: four numbers at once instead of eight or sixteen, which changes the order
    of sums, and no multiplication and addition with one rounding. A machine without AVX has nothing else itself, and
    one that is no x86 has no such choice.
    """
    if machine not in ("x86_64", "AMD64"):
        return ""
    flags = next((line.split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    return "--xla_cpu_max_isa=SSE4_2" if "avx" in flags else ""


if __name__ == "__main__":
    print(flag_for(platform.machine(), CPUINFO.read_text() if CPUINFO.exists() else ""))
