"""Steps of ipt_jax (prompt, prefix, LoRA) against Hugging Face PEFT and a loop by hand, with the same weights and rows.

    python -m benchmarks.training [--case=PATTERN …] [--against=COMMIT] [--peers=PEFT,loop] [--isa=AVX2] [--rounds=5]
        [--json=FILE] [--growth=FIGURE] [--profile]

Needs torch, transformers and peft beside ipt_jax. Without --case: every case that the machine is for, and the curves.
The cases are in `training_cases`, the sides in `training_sides`. A row of the table is a comparison: medians of rounds,
taken in turns (see `side_by_side`); seconds over needed arithmetic (see `needed`), which is what is compared, since the
rows of two sides' batches need not be the same; peak memory of each process by itself. All sides run AdamW with
clipping on the prompt alone, float32 on a CPU, bfloat16 weights on a GPU, without dropout. Each case is measured beside
the machine's own rate of multiplying matrices.

PEFT and the loop run transformers' SDPA attention where the family has it (BLOOM has not), on batches sorted by length
and padded to their longest row.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fnmatch
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, side_by_side, training_report
from benchmarks.commits import code_of
from benchmarks.side_by_side import Side, run_once, take_turns
from benchmarks.training_cases import CASES, CURVES, Case
from benchmarks.training_sides import STEPS

# Name → side and settings.
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "PEFT": ("peft", {}),
    "PEFT compiled": ("peft", {"compile": True}),
    "loop": ("loop", {}),
    "loop compiled": ("loop", {"compile": True}),
    "ours, cudnn": ("ours", {"attention": "cudnn"}),
    "ours, solo": ("ours", {}),
}
CURVE_TOLERANCE, BEFORE_TOLERANCE = 1e-3, 1e-5


def environment_for(isa: str) -> dict[str, str]:
    """Variables that keep XLA, torch and NumPy from instructions newer than a set; none for an empty name.

    How far each of them heeds it, the rates say that stand beside a table.

    >>> environment_for("AVX2")["ATEN_CPU_CAPABILITY"], environment_for("SSE4_2")["ATEN_CPU_CAPABILITY"]
    ('avx2', 'default')
    """
    if not isa:
        return {}
    return {
        "XLA_FLAGS": f"--xla_cpu_max_isa={isa}",
        "ATEN_CPU_CAPABILITY": "avx2" if isa == "AVX2" else "default",
        "ONEDNN_MAX_CPU_ISA": {"SSE4_2": "SSE41"}.get(isa, isa),
        "MKL_ENABLE_INSTRUCTIONS": isa,
        "OPENBLAS_CORETYPE": {"SSE4_2": "Nehalem", "AVX": "Sandybridge"}.get(isa, "Haswell"),
    }


def sides_of(case: Case, peers: Sequence[str], code: str, environment: Mapping[str, str]) -> list[Side]:
    """Our side, then the others; `before` is ours with the package in the folder `code`."""
    settings = {"case": dataclasses.asdict(case), "dtype": "bfloat16" if case.gpu else "float32", "members": 1}
    own = settings | {"members": case.members}
    sides = [Side("ours", "benchmarks.training_sides:ours", own)]
    if case.adapter != "prompt":  # a loop by hand trains rows alone, and so did we
        code, peers = "", [name for name in peers if PEERS[name][0] != "loop"]
    if code:
        sides.append(Side("before", "benchmarks.training_sides:ours", own, code=code))
    for name in peers:
        build, more = PEERS[name]
        sides.append(Side(name, f"benchmarks.training_sides:{build}", settings | more))
    return [dataclasses.replace(side, environment=environment) for side in sides]


def measure(
    name: str,
    case: Case,
    rounds: int,
    peers: Sequence[str],
    code: str,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The machine's rates and a row for each comparison of the case."""
    if case.members > 1:
        peers = [*peers, "ours, solo"]
    sides = sides_of(case, peers, code, environment)
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        found = run_once("benchmarks.training_sides:what_machine", Path(folder), {}, environment)
        rate = 1e9 * found["xla_gflops"]
        if case.gpu:
            rate = run_once("benchmarks.training_sides:matrix_rate", Path(folder), {"dtype": "bfloat16"})
        measured = take_turns(sides, Path(folder), rounds=rounds, warmup=2 if case.gpu else 1)
    rows = [training_report.row(name, case, measured["ours"], side.name, measured[side.name], rate) for side in sides]
    return {"machine": found, "rows": rows}


def profile(case: Case) -> list[dict[str, Any]]:
    """The kernels that a step of ours spends most time in."""
    (side,) = sides_of(case, [], "", {})
    side = dataclasses.replace(side, settings={**side.settings, "profile": True})
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        return take_turns([side], Path(folder), rounds=1)["ours"].answers[-1]


def compare_curves(name: str, case: Case, code: str) -> dict[str, Any]:
    """The first losses of ours, of PEFT and of the code before, and the largest differences from ours."""
    sides = sides_of(case, ["PEFT"], code, {})
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        measured = take_turns(sides, Path(folder), rounds=STEPS, warmup=0)
    losses = {side.name: [answer["losses"][0] for answer in measured[side.name].answers] for side in sides}
    own = losses.pop("ours")
    differences = {peer: float(np.abs(np.subtract(own, other)).max()) for peer, other in losses.items()}
    wanted = {"PEFT": CURVE_TOLERANCE, "before": BEFORE_TOLERANCE}
    return {
        "case": name,
        "losses": {"ours": own, **losses},
        "differences": differences,
        "met": all(difference <= wanted[peer] for peer, difference in differences.items()),
    }


def chosen_names(patterns: Sequence[str] | None, on_gpu: bool) -> list[str]:
    """The cases and curves that patterns name, or all that the machine is for.

    Raises:
      SystemExit: a pattern that fits none.
    """
    names = [*CASES, *CURVES]
    if not patterns:
        return [name for name in names if name in CURVES or CASES[name].gpu == on_gpu]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise SystemExit(f"--case={pattern} fits none of {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", help="a name, or a pattern such as 'gpt2-mtop-*'; may be repeated")
    parser.add_argument("--against", default="", metavar="COMMIT", help="ours as it was then is one more side")
    parser.add_argument("--peers", help=f"of {', '.join(PEERS)}, joined by commas")
    parser.add_argument("--isa", default="", help="the newest instructions: AVX512 | AVX2 | AVX | SSE4_2")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each side")
    parser.add_argument("--profile", action="store_true", help="instead: where the time of our step goes")
    parser.add_argument("--growth", type=Path, help="measure how our step grows instead, and draw it into this file")
    arguments = parser.parse_args()
    found = side_by_side.machine()
    print(side_by_side.describe(found), flush=True)
    answer: dict[str, Any] = {"machine": found, "against": arguments.against, "isa": arguments.isa}
    if arguments.growth:
        from benchmarks.training_growth import growth

        answer["growth"] = growth(arguments.growth)
    else:
        on_gpu = found["backend"] == "gpu"
        usual = ["PEFT", "PEFT compiled", "loop", "ours, cudnn"] if on_gpu else ["PEFT", "loop"]
        peers = arguments.peers.split(",") if arguments.peers else usual
        if unknown := set(peers) - set(PEERS):
            parser.error(f"--peers: {', '.join(sorted(unknown))} is none of {', '.join(PEERS)}")
        names, environment = chosen_names(arguments.case, on_gpu), environment_for(arguments.isa)
        answer |= {"cases": {}, "curves": []}
        with code_of(arguments.against) if arguments.against else contextlib.nullcontext("") as code:
            for name in names:
                if name in CURVES:
                    answer["curves"].append(curve := compare_curves(name, CURVES[name], str(code)))
                    print(training_report.curve_sentence(curve), flush=True)
                elif CASES[name].gpu and not on_gpu:
                    print(f"{name}: needs an NVIDIA GPU that jax finds; left out", flush=True)
                elif arguments.profile:
                    answer.setdefault("profiles", {})[name] = profile(CASES[name])
                    print(name, *answer["profiles"][name], sep="\n  ", flush=True)
                else:
                    case = measure(name, CASES[name], arguments.rounds, peers, str(code), environment)
                    answer["cases"][name] = case
                    torch = f", {case['machine']['torch_gflops']:.0f} through torch"
                    print(f"\n{name}: {machine.sentence(case['machine'])}{torch}", flush=True)
                    print(training_report.table(case["rows"]), flush=True)
                if arguments.json:
                    arguments.json.write_text(json.dumps(answer, indent=2) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
