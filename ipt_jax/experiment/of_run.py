"""What the settings of a run mean in other rooms: its rows, its overlap with training, its start."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ipt_jax.adapters.initialisation import initial_rows, loaded_rows
from ipt_jax.experiment.run import Run
from ipt_jax.rows.preparation import PreparedSplit, Preparer, layout_of
from ipt_jax.workdir.run_folder import RunFolder


def start_of(preparer: Preparer, run: Run, workdir: Path) -> np.ndarray:
    """f32[P, E], the rows that the run's prompt starts from: its own, or those that another run has trained."""
    if run.source is not None:
        return loaded_rows(
            preparer.lm, RunFolder(workdir, run.source.id).checkpoints, run.settings.layout.prompt_tokens
        )
    limit = run.settings.limit.get("train", 0)
    return initial_rows(preparer.lm, run.settings, lambda: preparer.split("train", limit))


def rows_of(preparer: Preparer, run: Run, split: str, *, with_target: bool) -> PreparedSplit:
    """A split as the run sees it, to be learned (with targets) or to be continued (without)."""
    room = preparer.lm.decoder.config.max_positions - run.settings.layout.prompt_tokens
    return preparer.rows(
        split,
        run.settings.limit[split],
        layout_of(run.settings),
        budget=room if with_target else room - run.settings.decoding.max_new_tokens,
        with_target=with_target,
    )


def overlap_of(preparer: Preparer, run: Run) -> dict[str, int] | None:
    """What the evaluated examples share with the training examples that the run, or its prompt, has seen.

    None where it has seen none: without demonstrations and with no prompt, or one of other data.
    """
    seen, split = run, run.settings.task.split
    if "train" not in run.settings.limit and run.source is not None and run.source.data_hash == run.data_hash:
        seen = run.source
    if "train" not in seen.settings.limit:
        return None
    return preparer.overlap(split, run.settings.limit[split], seen.settings.limit["train"])
