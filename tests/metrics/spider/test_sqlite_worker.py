"""The program that runs queries: it survives them, and trusts nothing."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ipt_jax.metrics.spider import execution
from ipt_jax.metrics.spider.execution import execution_match, execution_matches

WORKER = Path(execution.__file__).with_name("sqlite_worker.py")


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a database?.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE singer (id INTEGER, name TEXT, age REAL, photo BLOB)")
    rows = [(1, "Ann", 30, b"\x00\xff"), (2, "Bo", 25.5, None), (3, "Ann", 41, None)]
    connection.executemany("INSERT INTO singer VALUES (?, ?, ?, ?)", rows)
    connection.execute("CREATE TABLE digit AS WITH RECURSIVE c(d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM c"
                       " WHERE d < 999) SELECT d FROM c")  # fmt: skip
    connection.commit()
    connection.close()
    return path


def test_a_stopped_query_leaves_its_worker_able_to_go_on(database):
    endless = "SELECT count(*) FROM digit a JOIN digit b JOIN digit c JOIN digit d"
    pairs = [("SELECT 1", endless, database), ("SELECT 1", "SELECT 1", database)]

    assert [result.match for result in execution_matches(pairs, timeout_seconds=0.3, workers=1)] == [False, True]


def test_a_worker_that_dies_is_an_error_that_says_so(database, tmp_path, monkeypatch):
    dead = tmp_path / "dead.py"
    dead.write_text("import sys\nsys.stdin.readline()\nsys.exit(7)\n")
    monkeypatch.setattr(execution, "_WORKER", dead)

    with pytest.raises(RuntimeError, match="ended with status 7"):
        execution_match("SELECT 1", "SELECT 1", database)


def test_the_worker_imports_nothing_but_the_standard_library():
    request = {"uri": "file::memory:", "query": "SELECT 1.5, NULL, x'00'", "max_rows": 9,
               "timeout_seconds": 9, "memory_mb": 256}  # fmt: skip
    command = [sys.executable, "-I", "-S", "-X", "importtime", str(WORKER)]
    done = subprocess.run(command, input=json.dumps(request) + "\n", capture_output=True, text=True, timeout=60)

    assert json.loads(done.stdout) == {"rows": [[1.5, None, {"hex": "00"}]]}
    assert "sqlite3" in done.stderr
    assert "jax" not in done.stderr and "numpy" not in done.stderr
