"""Retrieval side by side: BM25 with rank_bm25 and bm25s, dense neighbours with faiss-cpu's flat index.

    python -m benchmarks.retrieval --data_dir=data/dart
    python -m benchmarks.retrieval --case=dense --entries=20000 --json=retrieval.json

Needs rank_bm25, bm25s and faiss-cpu. Each measurement is a process of its own, so that its peak memory is its
own; the sides take turns. Seconds are from texts (or vectors) in memory to neighbours in memory, without
imports: splitting into words, indexing, searching and, for ours, compiling. Nothing is excluded on any side.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

K1, B = 1.5, 0.75
_WIDTH = 576  # SmolLM2-135M's
Found = tuple[np.ndarray, np.ndarray]  # indices i64[queries, k], similarities f32[queries, k]


def ours_bm25(pool: Sequence[str], queries: Sequence[str], k: int) -> Found:
    from ipt_jax.retrieval.bm25 import Formula, bm25_neighbours

    found = bm25_neighbours(*_pools(queries, pool), k, formula=Formula("robertson", K1, B), exclude_duplicates=False)
    return found.indices, found.similarities


def theirs_rank_bm25(pool: Sequence[str], queries: Sequence[str], k: int) -> Found:
    """BM25Okapi; without its floor for words in over half the texts (epsilon) it is Robertson's formula × (k1 + 1)."""
    import rank_bm25

    from ipt_jax.retrieval.bm25 import terms_of

    index = rank_bm25.BM25Okapi([terms_of(text) for text in pool], k1=K1, b=B, epsilon=0)
    scores, indices = [], []
    for text in queries:
        row = index.get_scores(terms_of(text)) / (K1 + 1)
        indices.append(np.argsort(-row, kind="stable")[:k])
        scores.append(row[indices[-1]])
    return np.array(indices), np.array(scores)


def theirs_bm25s(pool: Sequence[str], queries: Sequence[str], k: int) -> Found:
    import bm25s

    from ipt_jax.retrieval.bm25 import terms_of

    index = bm25s.BM25(method="robertson", k1=K1, b=B, backend="numpy")
    index.index([terms_of(text) for text in pool], show_progress=False)
    asked = [terms_of(text) for text in queries]
    return tuple(index.retrieve(asked, k=k, show_progress=False, backend_selection="numpy"))


def ours_dense(pool: np.ndarray, queries: np.ndarray, k: int) -> Found:
    from ipt_jax.retrieval import dense_neighbours

    vectors = {"entry": pool, "query": queries}
    texts = [[f"{kind} {i}" for i in range(len(rows))] for kind, rows in (("query", queries), ("entry", pool))]
    found = dense_neighbours(*_pools(*texts), k, embed=lambda texts: vectors[texts[0].split()[0]])
    return found.indices, found.similarities


def theirs_faiss(pool: np.ndarray, queries: np.ndarray, k: int) -> Found:
    import faiss

    index = faiss.IndexFlatIP(pool.shape[1])
    index.add(pool)
    similarities, indices = index.search(queries, k)
    return indices, similarities


def _pools(queries: Sequence[str], pool: Sequence[str]) -> list[Any]:
    from ipt_jax.retrieval import Pool

    return [
        Pool([f"{name}:{i}" for i in range(len(texts))], texts) for name, texts in (("query", queries), ("entry", pool))
    ]


def texts(arguments: argparse.Namespace, queries: int) -> tuple[list[str], list[str]]:
    """The pool and the queries: DART's training inputs and the same again, or invented ones of the same lengths."""
    if arguments.data_dir:
        from ipt_jax.tasks.dart import Dart

        pool = [example.input for example in Dart(arguments.data_dir).read("train")][: arguments.entries]
    else:
        random = np.random.default_rng(0)
        pool = [" ".join(f"w{word}" for word in random.zipf(1.3, 17) % 23_000) for _ in range(arguments.entries)]
    return pool, pool[:: max(1, len(pool) // queries)][:queries]


def vectors(arguments: argparse.Namespace, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Random unit vectors, each also a query: what a search within a training set does."""
    rows = np.random.default_rng(0).standard_normal((arguments.entries, _WIDTH), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, rows[:queries]


Side = Callable[[Any, Any, int], Found]
# name → what is searched, how many queries at most, (ours, theirs)
CASES: dict[str, tuple[Callable, int, dict[str, Side]]] = {
    "bm25": (texts, 200, {"ours": ours_bm25, "rank_bm25": theirs_rank_bm25}),
    "bm25_all": (texts, 10**9, {"ours": ours_bm25, "bm25s": theirs_bm25s}),
    "dense": (vectors, 10**9, {"ours": ours_dense, "faiss": theirs_faiss}),
}


def measure(arguments: argparse.Namespace, case: str, side: str) -> tuple[Found, dict[str, float]]:
    """One side of a case in this process: what it found, seconds, and MiB of peak memory."""
    data, most, sides = CASES[case]
    pool, queries = data(arguments, min(most, arguments.entries))
    sides[side](pool[:8], queries[:2], arguments.k)  # imports, and the start of the device
    started = time.perf_counter()
    found = sides[side](pool, queries, arguments.k)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found, {"seconds": seconds, "peak_mib": peak, "entries": len(pool), "queries": len(queries)}


def compare(ours: Found, theirs: Found) -> dict[str, float]:
    """How far two results agree, rank by rank.

    Where the similarities of a rank are equal, different indices are ties: bm25s and faiss order them arbitrarily.

    Raises:
      SystemExit: similarities differ by more than the rounding of float32 sums, so that a comparison is void.
    """
    difference = np.abs(ours[1] - theirs[1]) / np.maximum(np.abs(theirs[1]), 1e-2)
    if difference.max() > 1e-4:
        raise SystemExit(f"the results differ: similarities by up to {difference.max():.1e} of their value")
    return {
        "largest_relative_difference": float(difference.max()),
        "equal_indices": float((ours[0] == theirs[0]).mean()),
    }


def run_case(arguments: argparse.Namespace, case: str) -> dict[str, Any]:
    """All rounds of one case, the sides in turn, each measurement in its own process."""
    sides = list(CASES[case][2])
    rows: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                rows[side].append(_in_process(arguments, case, side, Path(folder) / side))
        found = [tuple(np.load(Path(folder) / f"{side}.npz").values()) for side in sides]
    medians = {side: statistics.median(row["seconds"] for row in rows[side]) for side in sides}
    return {
        "case": case,
        "k": arguments.k,
        "entries": rows["ours"][0]["entries"],
        "queries": rows["ours"][0]["queries"],
        "seconds": {side: [row["seconds"] for row in rows[side]] for side in sides},
        "median_seconds": medians,
        "times_as_fast": medians[sides[1]] / medians["ours"],
        "peak_mib": {side: max(row["peak_mib"] for row in rows[side]) for side in sides},
        **compare(*found),
    }


def _in_process(arguments: argparse.Namespace, case: str, side: str, output: Path) -> dict[str, float]:
    flags = [f"--{name}={getattr(arguments, name)}" for name in ("entries", "k", "data_dir")]
    command = [sys.executable, "-m", "benchmarks.retrieval", *flags, f"--measure={case}/{side}", f"--output={output}"]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{case}/{side} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def machine() -> dict[str, Any]:
    """What the numbers hold for."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    packages = ("jax", "numpy", "scipy", "bm25s", "rank_bm25", "faiss-cpu")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    here = result["machine"]
    lines = [
        f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, "
        + ", ".join(f"{name} {version}" for name, version in here["versions"].items()),
        "",
        "| case | queries × entries | side | median s | times as fast | peak MiB | equal results |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in result["cases"]:
        agree = (
            f"similarities within {case['largest_relative_difference']:.0e}; {case['equal_indices']:.0%} of indices, "
            "the others tied"
        )
        for side, seconds in case["median_seconds"].items():
            ratio, equal = (f"{case['times_as_fast']:.1f}", agree) if side == "ours" else ("", "")
            lines.append(
                f"| {case['case']} | {case['queries']:,} × {case['entries']:,} | {side} | {seconds:.2f} | {ratio} "
                f"| {case['peak_mib'][side]:,.0f} | {equal} |"
            )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument("--data_dir", default="", help="folder of DART's released files; invented texts without it")
    parser.add_argument("--entries", type=int, default=62_659, help="size of the pool; DART has 62,659")
    parser.add_argument("--k", type=int, default=4, help="neighbours; an entry of the pool itself is one of them")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side")
    parser.add_argument("--json", help="write all numbers there")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.measure:
        (indices, similarities), numbers = measure(arguments, *arguments.measure.split("/"))
        np.savez(arguments.output, indices=indices, similarities=similarities)
        print(json.dumps(numbers))
        return
    cases = [arguments.case] if arguments.case else list(CASES)
    result = {"machine": machine(), "cases": [run_case(arguments, case) for case in cases]}
    print(table(result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
