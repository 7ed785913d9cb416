"""Processes that see several simulated devices: their environment, and what they answer."""

import json
import os
import subprocess
import sys

from paths import ROOT


def simulated(count):
    """A CPU that passes for so many devices, for a script of the tests or a command of the package.

    Other flags of XLA stay: under another instruction set, say, these processes are too.
    """
    return {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}".strip(),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }


def answer_of(arguments, count, folder=ROOT, timeout=900):
    """The JSON in the last line that Python prints, run with these arguments on so many devices."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=simulated(count), capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
