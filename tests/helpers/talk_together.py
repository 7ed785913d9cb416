"""Run by `test_processes`, once for each process: prints what the processes tell each other.

python tests/talk_together.py PORT PROCESSES PROCESS
"""

import json
import sys
import time

import jax
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.runtime import mesh, processes

CALLS = 10_000


def refused(call):
    try:
        call()
    except (InputError, KeyError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def raising(error):
    raise error


def main(port, count, own):
    processes.start(True, f"localhost:{port}", count, own)
    processes.meet()
    long = "schön " * 1000
    tree = {"b": np.array(own, np.int32), "a": np.array([[-0.0, np.nan, own]], np.float32)}
    sent = processes.arrays_from_first(lambda: tree, tree)
    devices = mesh.make_mesh()
    mesh.connect(devices)
    rows = np.arange(8, dtype=np.float32).reshape(1, 8)
    held = mesh.held(devices, rows.shape, 1)
    spread = mesh.put_rows(devices, np.where(held, rows, np.nan), axis=1)
    started = time.perf_counter()
    left = sum(processes.preempted() for _ in range(CALLS))
    microseconds = 1e6 * (time.perf_counter() - started) / CALLS
    told = {
        "json": processes.from_first(lambda: [own, long, {"x": (1, 2)}]),
        "bytes": [sent["b"].tolist(), sent["a"].tobytes().hex(), str(sent["a"].dtype), list(sent["a"].shape)],
        "nothing": processes.arrays_from_first(lambda: None),
        "array": processes.arrays_from_first(lambda: np.full((2, 0, 3), own)).shape,
        "least": processes.least(2**40 + own),
        "everywhere": [processes.everywhere(True), processes.everywhere(own == 0)],
        "held": int(held.sum()),
        "sum": float(jax.jit(lambda x: x.sum())(spread)),
        "back": mesh.on_host(spread).tolist(),
        "wrong input": refused(lambda: processes.from_first(lambda: raising(InputError("no such file")))),
        "defect": refused(lambda: processes.from_first(lambda: raising(KeyError("x")))),
        "on one": refused(lambda: processes.on_all(lambda: own == 1 and raising(InputError("weights are missing")))),
        "other": refused(lambda: processes.check_same("weights", own)),
        "same": refused(lambda: processes.check_same("weights", [1, "a"])),
        "preempted": left,
        "microseconds": microseconds,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
