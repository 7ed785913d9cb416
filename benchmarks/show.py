"""A table of speed from the figures of a benchmark, for reading or into a document.

    python -m benchmarks.show FILE.json [--into=docs/training.md]

FILE.json is what `benchmarks.training` or `benchmarks.decoding` wrote with `--json`. In a document the table stands
between two marks that have the file's name, `<!-- training_avx2 -->` and `<!-- /training_avx2 -->`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import decoding, machine, side_by_side, training_report
from benchmarks.documents import show


def shown(found: dict[str, Any]) -> str:
    """The tables of a benchmark's figures, and what they were measured on."""
    if isinstance(found["cases"], list):
        return f"{side_by_side.describe(found['machine'])}:\n\n{decoding.report(found['cases'])}"
    cases = found["cases"].values()
    best = max((case["machine"] for case in cases), key=lambda each: each["xla_gflops"])
    table = training_report.table([row for case in cases for row in case["rows"]])
    return f"{machine.sentence(best)}, the best of {len(cases)} measurements:\n\n{table}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--into", type=Path, help="a document with the marks; printed without")
    arguments = parser.parse_args()
    show(shown(json.loads(arguments.file.read_text(encoding="utf-8"))), arguments.file.stem, arguments.into)


if __name__ == "__main__":
    main()
