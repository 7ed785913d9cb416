"""Starts commands as processes that find each other on this machine, each with some simulated devices."""

import contextlib
import socket
import subprocess
import time

from devices import ROOT, simulated


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def started(commands, devices=1):
    """The running commands, in the repository's root; those that still run at the end of the block are killed."""
    environment = simulated(devices)
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def finish(running, timeout=300):
    """What each said, once all have ended."""
    deadline = time.monotonic() + timeout
    return [process.communicate(timeout=max(deadline - time.monotonic(), 1))[0] for process in running]


def flags(process, processes, port):
    return [
        "--distributed",
        f"--coordinator_address=localhost:{port}",
        f"--num_processes={processes}",
        f"--process_id={process}",
    ]
