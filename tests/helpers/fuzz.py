"""Damaged and hostile inputs for every door of the package: a right result or an InputError of one line, nothing else.

    python tests/fuzz.py [--cases=3000] [--seed=1] [--area=NAME]

A case is a number: it draws which of an area's files is changed and how, so that `--seed` and `--area` repeat it. It
prints a line per area (tried, right, clean, other) and every case that ended otherwise, and exits 1 where there is one.
Doors are in `fuzz_areas.py`, `fuzz_models.py` and `fuzz_commands.py`, changes in `fuzz_mutations.py`.
"""

from __future__ import annotations

import argparse
import atexit
import collections
import contextlib
import functools
import io
import logging
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import fuzz_areas
import fuzz_commands
import fuzz_models

from ipt_jax.errors import InputError

AREAS: dict[str, fuzz_areas.Area] = fuzz_areas.AREAS | fuzz_models.AREAS | fuzz_commands.AREAS


@functools.cache
def sound(name: str) -> tuple[Path, Any]:
    """A folder with an area's sound files, written once, and what is read of it; cases damage copies."""
    area, folder = AREAS[name], Path(tempfile.mkdtemp(prefix="ipt_jax_fuzz_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    area.write(folder)
    return folder, area.read(folder) if area.kept else None


def run_case(name: str, case: int, folder: Path) -> tuple[str, str]:
    """One case of an area in a folder of its own: what came of it (right, clean or other), and why."""
    area, rng = AREAS[name], random.Random(f"{name}:{case}")
    files, truth = sound(name)
    shutil.copytree(files, folder, dirs_exist_ok=True)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        done = area.damage(rng, folder)
        try:
            found = area.read(folder)
        except InputError as error:
            return "clean", str(error)
        except Exception as error:
            ours = [f for f in traceback.extract_tb(error.__traceback__) if "ipt_jax" in Path(f.filename).parts]
            where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours[-2:])
            return "other", f"{done}: {type(error).__name__}: {str(error)[:200]} ({where})"
    if area.kept and found != truth:
        return "other", f"{done}: other content was believed"
    return "right", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100, help="of each area")
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--area", choices=AREAS, help="this one alone")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    others = 0
    for name in [options.area] if options.area else AREAS:
        counts: collections.Counter = collections.Counter()
        started = time.process_time()
        for case in range(options.seed, options.seed + options.cases):
            with tempfile.TemporaryDirectory() as folder:
                outcome, why = run_case(name, case, Path(folder))
            counts[outcome] += 1
            if outcome == "other":
                print(f"  {name}, case {case}: {why}", flush=True)
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("right", "clean", "other"))
        print(f"{name}: {options.cases} tried, {told} ({time.process_time() - started:.1f} s)", flush=True)
        others += counts["other"]
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
