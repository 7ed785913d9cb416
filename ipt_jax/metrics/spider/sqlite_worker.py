"""Runs SELECTs on SQLite files, each in a process of its own with limits. A script, started by spider_execution.py.

It reads a request per line from its standard input and answers each with a line, both JSON:

    {"uri", "query", "max_rows", "timeout_seconds", "memory_mb"}  →  {"rows": […]} or {"error": "why"}

A blob in a row is {"hex": …}. The queries are untrusted: each runs in a fork of this small process that may read its
one database and nothing else, and that the system kills when its time is over. It imports the standard library only:
starting takes some 25 ms, a fork about one.
"""

import json
import math
import os
import resource
import signal
import sqlite3
import sys

MAX_ANSWER_BYTES = 64 << 20
# Smaller than SQLite's own limits: for a single text or blob in bytes, and for attached databases.
_SQLITE_LIMITS = {sqlite3.SQLITE_LIMIT_LENGTH: 10_000_000, sqlite3.SQLITE_LIMIT_ATTACHED: 0}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer"}


def main() -> None:
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(_answer_in_a_fork(json.loads(line)) + b"\n")
        sys.stdout.buffer.flush()


def _answer_in_a_fork(request: dict) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # Whatever happens in here, it must not go on with the parent's loop.
        try:
            os.close(reading)
            with open(writing, "wb") as pipe:
                pipe.write(_answer(request))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in (-signal.SIGALRM, -signal.SIGXCPU):
        return _error(f"it took longer than {request['timeout_seconds']} s")
    return answer or _error(f"its process ended with status {status}")


def _answer(request: dict) -> bytes:
    try:
        _limit_this_process(request["timeout_seconds"], request["memory_mb"])
        answer = json.dumps({"rows": _rows(request)}, default=lambda blob: {"hex": blob.hex()}).encode()
    except MemoryError:
        return _error(f"it needs more than {request['memory_mb']} MB of memory")
    except Exception as error:  # An untrusted query; each way to fail is an answer.
        return _error(f"{type(error).__name__}: {error}")
    return answer if len(answer) <= MAX_ANSWER_BYTES else _error("its result is too large")


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def _limit_this_process(timeout_seconds: float, memory_mb: int) -> None:
    """Limits that no SQL can lift: the kernel holds them."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
    limits = {
        resource.RLIMIT_CPU: math.ceil(timeout_seconds) + 1,
        resource.RLIMIT_AS: memory_mb << 20,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _rows(request: dict) -> list[tuple]:
    connection = sqlite3.connect(request["uri"], uri=True)
    connection.text_factory = lambda text: text.decode("utf-8", "ignore")
    # Sorting in memory needs no temporary file; the schema of a database may call functions too.
    for pragma in ("temp_store = MEMORY", "query_only = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    for limit, value in _SQLITE_LIMITS.items():
        connection.setlimit(limit, value)
    connection.set_authorizer(_authorise)
    # The database is open; no query opens another file.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    cursor = connection.execute(request["query"])
    if cursor.description is None:
        raise ValueError("it returns no table")
    return cursor.fetchmany(request["max_rows"])


def _authorise(action: int, _first: str | None, second: str | None, _database: str | None, _view: str | None) -> int:
    function_allowed = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN_FUNCTIONS
    return sqlite3.SQLITE_OK if action in _ALLOWED or function_allowed else sqlite3.SQLITE_DENY


if __name__ == "__main__":
    main()
