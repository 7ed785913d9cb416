"""An accelerator that was asked for is there, or it is an error; one that lies idle is told."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import jax

from ipt_jax.errors import InputError

PLATFORMS = ("cpu", "gpu", "tpu")
# The name under which jax keeps why a platform did not start.
_BACKENDS = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}
_FIXES = {
    "cpu": "Leave JAX_PLATFORMS unset, or name the CPU in it.",
    "gpu": 'Install a jax that knows the device (pip install -U "jax[cuda12]"), and see with nvidia-smi whether the '
    "driver finds it and no other program has it for itself.",
    "tpu": 'Install a jax that knows the device (pip install -U "jax[tpu]"), and see whether another program has it: '
    "one at a time can.",
}
_NVIDIA_DEVICE = Path("/dev/nvidia0")
_log = logging.getLogger(__name__)


def require(platform: str) -> None:
    """Sees to it that jax runs on `platform`; warns where an NVIDIA device is left out and nobody asked for that.

    Args:
      platform: `config.execution.platform`: cpu, gpu, tpu, or "" for whatever jax finds, or JAX_PLATFORMS names.

    Raises:
      InputError: what was asked for is missing or busy. jax itself would go on on the CPU.
    """
    variable = os.environ.get("JAX_PLATFORMS", "")
    asked = f"config.execution.platform={platform!r}" if platform else f"JAX_PLATFORMS={variable}"
    named = f" JAX_PLATFORMS={variable} is set." if variable and platform else ""
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")  # also where there is an accelerator
    try:
        found = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the latter where JAX_PLATFORMS names nothing but missing GPUs
        wanted = platform or _kind(variable)
        raise InputError(
            f"{asked} was asked for and cannot be started ({error or 'no such device'}).{named} {_FIXES[wanted]}"
        ) from error
    if platform and found != platform:
        raise InputError(
            f"{asked} was asked for, and jax found only {found!r} ({_reason(platform)}).{named} {_FIXES[platform]}"
        )
    if found == "cpu" and platform != "cpu" and "cpu" not in variable and _NVIDIA_DEVICE.exists():
        _log.warning(
            "this machine has an NVIDIA device, and jax runs on the CPU: %s "
            "If the CPU is meant, say --config.execution.platform=cpu.",
            _FIXES["gpu"],
        )


def _kind(variable: str) -> str:
    """Which of `PLATFORMS` the first name of JAX_PLATFORMS is."""
    first = variable.split(",")[0]
    return first if first in PLATFORMS else "gpu"  # cuda, rocm


def _reason(platform: str) -> str:
    """What jax says of a platform that it did not start."""
    try:
        jax.devices(_BACKENDS[platform])
    except RuntimeError as error:
        return str(error)
    return "another one has precedence"


def describe_devices() -> str:
    """Such as `8 × NVIDIA H200`, or for a CPU its cores; of several processes also how many there are."""
    first, count = jax.devices()[0], jax.process_count()
    together = f" in {count} processes" if count > 1 else ""
    if first.platform == "cpu":
        return f"CPU, {len(os.sched_getaffinity(0))} cores{together}"
    return f"{jax.device_count()} × {first.device_kind}{together}"
