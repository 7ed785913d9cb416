"""Makes the golden trajectories of training and the golden order of examples. Run it from the repository's root:

    PYTHONPATH=. python tests/make_golden_trajectories.py [--only=trajectories|order]

Writes `tests/golden/trajectories.npz` (losses and prompts of every case of `trajectory`, and what identifies the
weights) and `tests/golden/order.json`. Make a file anew only where its numbers are meant to change: a new order of
examples changes `order.json` alone. `python -m benchmarks.trajectories A B` says what a commit changed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import trajectory

GOLDEN = Path(__file__).parent / "golden"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["trajectories", "order"], help="both by default")
    only = parser.parse_args().only
    if only in (None, "trajectories"):
        weights = {f"{family} weights": np.array(text) for family, text in trajectory.fingerprints().items()}
        np.savez_compressed(GOLDEN / "trajectories.npz", **trajectory.all_trajectories(), **weights)
    if only in (None, "order"):
        lines = ",\n  ".join(map(json.dumps, trajectory.order()))
        (GOLDEN / "order.json").write_text(f"[\n  {lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
