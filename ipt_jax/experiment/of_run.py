"""What the settings of a run mean in other rooms: its rows, its overlap with training, its adapter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ipt_jax.adapters.files import load_prompt
from ipt_jax.adapters.initialisation import loaded_rows
from ipt_jax.adapters.injection import Injection
from ipt_jax.adapters.trained import checked_for, load_adapter
from ipt_jax.errors import InputError
from ipt_jax.experiment.run import Run
from ipt_jax.models.loading import FrozenLM
from ipt_jax.rows.layout import BEHIND_BOS, Row
from ipt_jax.rows.preparation import PreparedSplit, Preparer, layout_of
from ipt_jax.runtime import processes
from ipt_jax.workdir.run_folder import RunFolder


def start_of(preparer: Preparer, run: Run, workdir: Path) -> Any:
    """What the run's adapter starts from, as its kind folds it: its own, or what a file has or another run trained.

    Raises:
      InputError: there is nothing to start from, or it is of another kind, shape or model.
    """
    lm, settings = preparer.lm, run.settings
    source = RunFolder(workdir, run.source.id).checkpoints if run.source else settings.prompt and settings.prompt.source
    if not source:
        limit = settings.limit.get("train", 0)
        return run.adapter.start(lm, settings, lambda: preparer.split("train", limit))
    if run.adapter.name == "prompt":
        return loaded_rows(lm, source, settings.layout.prompt_tokens)
    shapes, place = run.adapter.shapes(settings, lm.decoder.config), f"config.prompt.source={str(source)!r}"

    def read() -> dict[str, np.ndarray]:
        loaded = load_adapter(source)
        kind = getattr(loaded, "kind", "prompt")
        if kind != run.adapter.name:
            raise InputError(f"{place} is of kind {kind!r}, the run's {run.adapter.name!r}")
        arrays = checked_for(loaded, lm)
        found = {name: array.shape for name, array in arrays.items()}
        if found != shapes:
            raise InputError(f"{place} has {_listed(found)}; the run wants {_listed(shapes)}")
        return arrays

    return processes.arrays_from_first(read, like=dict.fromkeys(shapes, 0))


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))


def trained_arrays(folder: RunFolder, run: Run, lm: FrozenLM) -> Any:
    """The adapter that the run has trained, as its kind folds it for one member: an array, or a dict of them."""
    if run.adapter.name == "prompt":
        return processes.arrays_from_first(lambda: load_prompt(folder.path))
    like = dict.fromkeys(run.adapter.shapes(run.settings, lm.decoder.config), 0)
    return processes.arrays_from_first(lambda: dict(load_adapter(folder.path).arrays), like=like)


def leading_bos(lm: FrozenLM, settings: Any) -> int | None:
    """The BOS where it stands before the rows of the run's prompt, and so not in its tokens."""
    return lm.tokenizer.bos_id if settings.layout.prompt_place == BEHIND_BOS else None


def injected(lm: FrozenLM, settings: Any, adapters: Injection) -> Injection:
    """What stands before the rows of the run: its adapters, behind the BOS where they have their place there."""
    bos = leading_bos(lm, settings)
    return adapters if bos is None else adapters.behind(lm.decoder.embed(lm.params, np.array([bos], np.int32)))


def teacher_rows_of(preparer: Preparer, run: Run, split: str) -> Sequence[Row]:
    """A split as the run's teacher sees it: without an adapter, and with demonstrations; none without a teacher."""
    if not run.settings.training.teacher_demonstrations:
        return ()
    layout = layout_of(run.settings, preparer.lm.tokenizer, teacher=True)
    room = preparer.lm.decoder.config.max_positions
    return preparer.rows(split, run.settings.limit[split], layout, budget=room, with_target=True).rows


def rows_of(preparer: Preparer, run: Run, split: str, *, with_target: bool) -> PreparedSplit:
    """A split as the run sees it, to be learned (with targets) or to be continued (without)."""
    room = preparer.lm.decoder.config.max_positions - run.settings.layout.prompt_tokens
    return preparer.rows(
        split,
        run.settings.limit[split],
        layout_of(run.settings, preparer.lm.tokenizer),
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
