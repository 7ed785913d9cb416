"""Twenty steps of training on batches that never change: what the golden trajectories hold, made with today's code.

    PYTHONPATH=. python tests/helpers/trajectory.py OUT.npz

Which rows a batch has is said here, and a longest row is in every batch: another order of examples or other widths of
batches change no number, another arithmetic of training does. What fixes the order is in `tests/rows/test_order.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from tiny import tiny_lm

from ipt_jax.adapters.soft_prompt import SoftPrompts
from ipt_jax.rows.batching import collate
from ipt_jax.rows.layout import Row

FAMILIES, METHODS, POPULATIONS = ("gpt2", "llama", "bloom"), ("PT", "IPT"), (1, 3)
STEPS, BATCH, PROMPT_ROWS, WIDTH = 20, 4, 5, 32
ROWS, LONG_ROWS = 24, 6  # the first ones are the longest
LONGEST, MOST_TARGETS = 32, 8
RATES = (3e-2, 1e-2, 3e-3)  # of the members; a population of one is the first of three


def trainer_of(decoder: Any, prompts: Any, steps: int, **recipe: Any) -> Any:
    """A trainer, also of a package from before recipes."""
    from ipt_jax.training.step import Trainer

    try:
        from ipt_jax.training.recipe import Recipe
    except ModuleNotFoundError:
        return Trainer(decoder, prompts, steps, **recipe)
    return Trainer(decoder, prompts, Recipe(steps, **recipe))


def trajectory(family: str, method: str, members: int) -> dict[str, np.ndarray]:
    """losses f32[STEPS, K] before each step, and prompts f32[K, P, E] after the last."""
    lm = tiny_lm(family)
    random = np.random.RandomState(0)  # NumPy promises the same numbers for ever, of this class alone
    start = (0.5 * random.standard_normal((len(RATES), PROMPT_ROWS, WIDTH))).astype(np.float32)[:members]
    prompts, params = SoftPrompts.create(start, reparameterisation="mlp", hidden=8, member_seeds=list(range(members)))
    trainer = trainer_of(lm.decoder, prompts, STEPS, warmup_steps=2, weight_decay=0.01, clip_norm=1.0)
    state, losses = trainer.init(params), []
    rows, batches = rows_of(method), batches_of(members)
    for chosen in batches:
        batch = collate([[rows[i] for i in ids] for ids in chosen])
        state, metrics = trainer.step(state, lm.params, jnp.asarray(RATES[:members], jnp.float32), batch)
        losses.append(np.asarray(metrics.loss))
    return {"losses": np.stack(losses), "prompts": np.asarray(prompts.fold(state.params))}


def rows_of(method: str) -> list[Row]:
    """An input and its output each, for IPT after a demonstration: another row's input and output."""
    random, rows = np.random.RandomState(1), []

    def piece(shortest: int, longest: int) -> list[int]:
        return random.randint(1, 257, random.randint(shortest, longest + 1)).tolist()

    for number in range(ROWS):
        source, target = piece(4, 10), piece(2, MOST_TARGETS)
        demonstration = piece(4, 8) + piece(2, 6)
        if number < LONG_ROWS:
            target = random.randint(1, 257, MOST_TARGETS).tolist()
        source = demonstration + source if method == "IPT" else source
        if number < LONG_ROWS:
            source += random.randint(1, 257, LONGEST - len(target) - len(source)).tolist()
        rows.append(Row("", (*source, *target), len(source), (), 0, False))
    return rows


def batches_of(members: int) -> np.ndarray:
    """Which rows each member learns from at each step: i64[STEPS, K, BATCH]."""
    random = np.random.RandomState(2)
    long = random.randint(0, LONG_ROWS, (STEPS, len(RATES), 1))
    others = random.randint(LONG_ROWS, ROWS, (STEPS, len(RATES), BATCH - 1))
    return np.concatenate([long, others], axis=-1)[:, :members]


def fingerprints() -> dict[str, str]:
    """What identifies the weights of each family, which are drawn by a NumPy class that may change its numbers."""
    return {family: tiny_lm(family).fingerprint for family in FAMILIES}


def all_trajectories() -> dict[str, np.ndarray]:
    """`losses` and `prompts` of every case, as "gpt2 PT 1 losses"."""
    return {
        f"{family} {method} {members} {name}": array
        for family in FAMILIES
        for method in METHODS
        for members in POPULATIONS
        for name, array in trajectory(family, method, members).items()
    }


def main(arguments: Sequence[str]) -> None:
    (path,) = arguments
    np.savez_compressed(path, **all_trajectories())


if __name__ == "__main__":
    main(sys.argv[1:])
