"""How the time of our decoding grows with beams, context, new tokens and rows: `decoding --growth=FIGURE`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding import answers, without_text
from benchmarks.side_by_side import MODELS, Round, run_once


def growth(folder: Path, settings: dict[str, Any]) -> Round:
    """A side that times our decoding of GPT-2's shape as one number grows: name → [(value, seconds)]."""
    import jax.numpy as jnp

    from ipt_jax.decoding.settings import Search

    lm = without_text(folder, "float32")
    config = lm.decoder.config
    prompts = jnp.zeros((1, 0, config.embed_dim))
    base = {"beams": 1, "context": 128, "new tokens": 32, "rows": 16}
    grown = {
        "beams": (1, 2, 4, 8),
        "context": (32, 128, 256, 512),
        "new tokens": (8, 32, 64, 128),
        "rows": (4, 8, 16, 32),
    }

    def seconds(beams: int, context: int, new_tokens: int, rows: int) -> float:
        tokens = np.random.default_rng(0).integers(3, config.vocab_size, (rows, context)).tolist()
        search = Search(max_new_tokens=new_tokens, stop=(), num_beams=beams)
        taken = []
        for _ in range(4):  # the first compiles
            started = time.perf_counter()
            list(answers(lm, prompts, tokens, search, batch_size=rows))
            taken.append(time.perf_counter() - started)
        return float(np.median(taken[1:]))

    return lambda: {
        name: [(value, seconds(*(base | {name: value}).values())) for value in values] for name, values in grown.items()
    }


def draw_growth(path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), MODELS["gpt2"])
        points = run_once("benchmarks.decoding_growth:growth", Path(folder), {})
    figure, axes = plt.subplots(1, len(points), figsize=(12, 3), sharey=True, layout="constrained")
    for axis, (name, pairs) in zip(axes, points.items(), strict=True):
        axis.plot(*zip(*pairs, strict=True), marker="o")
        axis.set_xlabel(name)
    axes[0].set(ylabel="seconds", ylim=(0, None))  # after all lines: the axis is shared
    figure.suptitle("GPT-2 124M, float32: 16 rows × 128 tokens, 32 new tokens, greedy, and one of them changed")
    figure.savefig(path)
