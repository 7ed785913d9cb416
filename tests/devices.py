"""Environments of processes that see several simulated devices."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def simulated(count):
    """A CPU that passes for so many devices, for a script of the tests or a command of the package."""
    return {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
