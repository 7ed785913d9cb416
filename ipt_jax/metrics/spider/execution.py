"""Spider's execution accuracy: do gold and prediction return the same table? The predictions are untrusted.

The comparison is that of the test-suite evaluator (Zhong et al. 2020, taoyds/test-suite-sql-eval) on the one database
that Spider gives, with its defaults:

- Both queries lose the word DISTINCT and everything behind the first statement; `> =`, `< =` and `! =` are closed up;
  `YEAR(CURDATE())` is 2020.
- Rows are a multiset. Their order matters where the gold's text has "order by".
- Columns may stand in another order: the tables are the same if some permutation of the prediction's columns makes
  them so. Names of columns do not count.
- Two results without a row are the same, whatever their columns.
- A prediction that fails, or takes too much time or memory, is wrong.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored

SPIDER_EXECUTION_SIGNATURE = "spider|etype:exec|rules:test-suite-sql-eval|databases:1|distinct:removed|values:own"

MAX_CHARACTERS = 20_000
MAX_GOLD_ROWS = 1_000_000
_WORKER = Path(__file__).with_name("sqlite_worker.py")
# Quoted text, quoted names and comments; an open one reaches to the end, so that no text takes quadratic time.
_PIECE = re.compile(
    r"""'[^']*(?:'|\Z) | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\]]*(?:\]|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)
    | (?P<distinct>\bdistinct\b) | (?P<end>;)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)

Row = tuple[Any, ...]
# (query, database, most rows to return) → rows, or why there are none.
Run = Callable[[str, Path, int], "list[Row] | str"]


class ExecutionMatch(NamedTuple):
    """Whether the tables are the same, and why a query gave none (None where it did)."""

    match: bool
    gold_error: str | None
    prediction_error: str | None


def execution_match(
    gold: str,
    prediction: str,
    database_path: str | os.PathLike[str],
    *,
    timeout_seconds: float = 10.0,
    memory_mb: int = 512,
) -> ExecutionMatch:
    """Runs both queries on a database and compares what they return.

    Each runs in its own process, which can read the database and nothing else, write nothing, and is killed after
    its time. For many pairs `execution_matches` is faster.

    Args:
      database_path: an SQLite file; it is opened read-only and as one that nobody changes.
      timeout_seconds: wall-clock time for each query.
      memory_mb: address space of each query's process, in MiB; the process itself needs about 30.

    Raises:
      FileNotFoundError: there is no such database.
    """
    pairs = [(gold, prediction, Path(database_path))]
    (result,) = execution_matches(pairs, timeout_seconds=timeout_seconds, memory_mb=memory_mb, workers=1)
    return result


def execution_matches(
    pairs: Sequence[tuple[str, str, Path]],
    *,
    timeout_seconds: float = 10.0,
    memory_mb: int = 512,
    workers: int | None = None,
) -> list[ExecutionMatch]:
    """`execution_match` of many (gold, prediction, database), several at once.

    The 1,034 pairs of Spider's dev split, of short queries on small tables, take some 6 s on two CPU cores.

    Args:
      workers: how many queries run at a time; by default one per CPU, at most 8.

    Raises:
      FileNotFoundError: there is no such database.
    """
    for path in dict.fromkeys(path for *_, path in pairs):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no SQLite database {str(path)!r}")
    count = min(workers or min(os.cpu_count() or 1, 8), len(pairs) or 1)
    with contextlib.ExitStack() as stack:
        idle: queue.SimpleQueue[Run] = queue.SimpleQueue()
        for _ in range(count):
            idle.put(stack.enter_context(_worker(timeout_seconds, memory_mb)))

        def judge(pair: tuple[str, str, Path]) -> ExecutionMatch:
            run = idle.get()
            try:
                return _judge(*pair, run, timeout_seconds)
            finally:
                idle.put(run)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(judge, pairs))


def prepare(query: str) -> str:
    """The text that is executed.

    >>> prepare("SELECT count(DISTINCT a) FROM t WHERE b > = 'distinct;' ; DROP TABLE t")
    "SELECT count( a) FROM t WHERE b >= 'distinct;' "
    """
    for operator in (">", "<", "!"):
        query = query.replace(f"{operator} =", f"{operator}=")
    pieces, position = [], 0
    for match in _PIECE.finditer(query):
        if match["distinct"] or match["end"]:
            pieces.append(query[position : match.start()])
            position = match.end()
        if match["end"]:
            position = len(query)
            break
    pieces.append(query[position:])
    return _THIS_YEAR.sub("2020", "".join(pieces))


class _TooLong(Exception):
    """The comparison was not done when its time was over."""


def same_table(gold: Sequence[Row], found: Sequence[Row], *, ordered: bool, seconds: float = math.inf) -> bool:
    """Whether some permutation of the columns of `found` makes it `gold`.

    Columns are tried one by one, only those that have the values of the wanted one, and only as far as the rows so far
    agree. Tables that keep many candidates in play can be made on purpose: finding the permutation is as hard as
    telling whether two graphs are the same.

    Args:
      seconds: the most that this may take.

    Raises:
      _TooLong: it would have taken longer.

    >>> same_table([("a", 1), ("b", 2)], [(2, "b"), (1, "a")], ordered=False)
    True
    """
    if len(gold) != len(found):
        return False
    if not gold:
        return True
    wanted, columns = list(zip(*gold, strict=True)), list(zip(*found, strict=True))
    if len(wanted) != len(columns):
        return False
    if ordered:
        return Counter(wanted) == Counter(columns)
    values = [frozenset(Counter(column).items()) for column in (*wanted, *columns)]
    wanted_values, found_values = values[: len(wanted)], values[len(wanted) :]
    if Counter(wanted_values) != Counter(found_values):
        return False
    free = list(zip(found_values, columns, strict=True))
    return _arrange(list(zip(wanted_values, wanted, strict=True)), free, (), time.monotonic() + seconds)


# A column with its values as a set of (value, how often).
_Column = tuple[frozenset, Row]


def _arrange(wanted: Sequence[_Column], free: Sequence[_Column], chosen: tuple[Row, ...], deadline: float) -> bool:
    """Whether the free columns can follow the chosen ones so that the rows are those of the wanted columns."""
    if not free:
        return True
    values, _ = wanted[len(chosen)]
    rows = Counter(zip(*(column for _, column in wanted[: len(chosen) + 1]), strict=True))
    for candidate in dict.fromkeys(free):
        if time.monotonic() > deadline:
            raise _TooLong
        if candidate[0] == values and Counter(zip(*chosen, candidate[1], strict=True)) == rows:
            rest = list(free)
            rest.remove(candidate)
            if _arrange(wanted, rest, (*chosen, candidate[1]), deadline):
                return True
    return False


def _judge(gold: str, prediction: str, database: Path, run: Run, seconds: float) -> ExecutionMatch:
    expected = run(gold, database, MAX_GOLD_ROWS)
    # One row more than the gold has is enough to see that it is wrong.
    found = run(prediction, database, 1 if isinstance(expected, str) else len(expected) + 1)
    errors = [result if isinstance(result, str) else None for result in (expected, found)]
    if isinstance(expected, str) or isinstance(found, str):
        return ExecutionMatch(False, *errors)
    try:
        match = same_table(expected, found, ordered="order by" in gold.lower(), seconds=seconds)
    except _TooLong:
        return ExecutionMatch(False, None, f"it was not compared within {seconds:g} s")
    return ExecutionMatch(match, *errors)


@contextlib.contextmanager
def _worker(timeout_seconds: float, memory_mb: int) -> Iterator[Run]:
    # -I and -S: neither the environment nor the current folder nor installed packages have a say in it.
    command = [sys.executable, "-I", "-S", str(_WORKER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env={}) as process:

        def run(query: str, database: Path, max_rows: int) -> list[Row] | str:
            if len(query) > MAX_CHARACTERS:
                return f"it has more than {MAX_CHARACTERS:,} characters"
            request = {
                "uri": database.resolve().as_uri() + "?mode=ro&immutable=1",
                "query": prepare(query),
                "max_rows": max_rows,
                "timeout_seconds": timeout_seconds,
                "memory_mb": memory_mb,
            }
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the process that runs SQLite queries ended with status {process.wait()}")
            answer = json.loads(line, object_hook=_blob)
            return [tuple(row) for row in answer["rows"]] if "rows" in answer else answer["error"]

        yield run


def _blob(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["hex"]) if "hex" in value else value


def execution_metric(database_of: Callable[[str], Path]) -> Metric:
    """Execution accuracy, which is left out where a database is missing. A gold query that fails is told.

    Args:
      database_of: `Example.details["db_id"]` → where its SQLite file lies.
    """

    def rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows | None:
        paths = [database_of(example.details["db_id"]) for example in examples]
        if missing := sorted({str(path) for path in paths if not os.path.isfile(path)}):
            if len(missing) < len(set(paths)):
                logging.warning("no execution_match: %s databases are missing: %s", len(missing), ", ".join(missing))
            return None
        golds = [example.references[0] for example in examples]
        results = execution_matches(list(zip(golds, predictions, paths, strict=True)))
        for example, result in zip(examples, results, strict=True):
            if result.gold_error:
                logging.warning("%s: no prediction is right, its gold query fails: %s", example.id, result.gold_error)
        return scored([100.0 * result.match for result in results])

    return Metric("execution_match", "execution match", "", SPIDER_EXECUTION_SIGNATURE, rows, mean(0))
