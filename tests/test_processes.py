"""Several processes decode one work list and write one result."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from decode_together import decode
from devices import simulated

from ipt_jax.storage import read_rows

TESTS = Path(__file__).parent


def test_two_processes_write_what_one_writes_and_no_row_twice(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = simulated(2)
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    commands = [
        [sys.executable, str(TESTS / "decode_together.py"), str(port), "2", str(k), str(tmp_path / "two")]
        for k in range(2)
    ]
    running = [
        subprocess.Popen(c, cwd=TESTS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for c in commands
    ]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert all(process.returncode == 0 for process in running), "\n".join(text[-2000:] for text in said)
    decode(tmp_path / "one", tmp_path / "cache")
    for k in range(2):
        ours, alone = (read_rows(tmp_path / count / f"{k}.jsonl") for count in ("two", "one"))
        assert len(ours) == len(alone) == 12
        wanted = {row["id"]: row for row in alone}
        for row in ours:
            other = wanted.pop(row["id"])
            assert row.pop("log_probability") == pytest.approx(other.pop("log_probability"), rel=1e-4)
            assert row == other
        assert not wanted
