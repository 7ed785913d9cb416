"""How far twenty steps of training under one commit are from those under another.

    python -m benchmarks.trajectories COMMIT [COMMIT]

The second is by default the checkout as it is (`.`). Both run the same program, `tests/helpers/trajectory.py`, on
models of two layers: three families, PT and IPT, populations of one and three. Differences are relative to the
largest number.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.commits import code_of
from benchmarks.side_by_side import table


def trajectories_of(commit: str) -> dict[str, np.ndarray]:
    """What the program finds with the package of a commit: "gpt2 PT 1 losses" and so on → array."""
    with code_of(commit) as code, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "trajectories.npz"
        environment = os.environ | {"PYTHONPATH": str(code)}
        command = [sys.executable, str(code / "tests" / "helpers" / "trajectory.py"), str(out)]
        subprocess.run(command, cwd=code, env=environment, check=True)
        with np.load(out) as file:
            return dict(file)


def differences(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Case ("gpt2 PT 1") → losses and prompts → the largest difference, relative to the largest number of `one`."""
    found: dict[str, dict[str, float]] = {}
    for name, array in one.items():
        case, _, kind = name.rpartition(" ")
        difference = np.abs(array.astype(np.float64) - other[name]).max() / np.abs(array).max()
        found.setdefault(case, {})[kind] = float(difference)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one", metavar="COMMIT")
    parser.add_argument("other", metavar="COMMIT", nargs="?", default=".", help=". is the checkout as it is")
    arguments = parser.parse_args()
    found = differences(trajectories_of(arguments.one), trajectories_of(arguments.other))
    rows = [[*case.split(), f"{each['losses']:.1e}", f"{each['prompts']:.1e}"] for case, each in found.items()]
    print(table(["family", "method", "population", "losses", "prompts"], rows))


if __name__ == "__main__":
    main()
