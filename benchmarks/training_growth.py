"""How the cost of our training step grows with prompts, prompt rows, tokens and layers: `training --growth=FIGURE`."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.side_by_side import MODELS, Side, run_once, take_turns
from benchmarks.training_cases import Case


def growth(figure: Path) -> list[dict[str, Any]]:
    """Seconds and bytes of our step as one size grows and the others stay, and a log-log figure of the seconds."""
    base = Case(MODELS["gpt2"] | {"n_layer": 4}, batch=4, tokens=128, targets=32)
    sweeps = {
        "prompts K": [(k, dataclasses.replace(base, members=k)) for k in (1, 2, 4, 8)],
        "prompt rows P": [(p, dataclasses.replace(base, prompt_rows=p)) for p in (25, 50, 100, 200, 400)],
        "tokens": [(t, dataclasses.replace(base, tokens=t)) for t in (64, 128, 256, 512)],
        "layers": [(n, dataclasses.replace(base, model=base.model | {"n_layer": n})) for n in (2, 4, 8, 16)],
    }
    rows = []
    for axis, points in sweeps.items():
        for size, case in points:
            settings = {"case": dataclasses.asdict(case), "dtype": "float32", "members": case.members}
            with tempfile.TemporaryDirectory() as folder:
                run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
                side = Side("ours", "benchmarks.training_sides:ours", settings)
                measured = take_turns([side], Path(folder), rounds=5)["ours"]
            rows.append({"axis": axis, "size": size, "seconds": measured.median, "peak_bytes": measured.peak_bytes})
            print(f"{axis} = {size}: {measured.median:.3f} s, {measured.peak_bytes / 1e9:.2f} GB", flush=True)
    axes = Figure(figsize=(6, 4)).subplots()
    for axis in sweeps:
        points = [(row["size"], row["seconds"]) for row in rows if row["axis"] == axis]
        axes.loglog(*zip(*points, strict=True), marker="o", label=axis)
    axes.set(xlabel="size", ylabel="seconds of a step")
    axes.set_title("GPT-2's width, 4 layers; 1 prompt, 4 rows of 50 + 128", fontsize="medium")
    axes.legend()
    axes.figure.savefig(figure, bbox_inches="tight", dpi=150)
    return rows
