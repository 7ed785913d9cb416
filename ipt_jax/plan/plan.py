"""What an experiment would run and cost, before anything is spent: `--plan`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from ipt_jax.cost import spread
from ipt_jax.cost.hardware import LAYER_SECONDS, PUBLISHED, Device, Work, this_device
from ipt_jax.cost.spread import Split
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.models import loading
from ipt_jax.plan import slice_table
from ipt_jax.plan.forecast import SAMPLE, Forecast, embedding_flop, forecast, parameters
from ipt_jax.plan.slice_table import rounded
from ipt_jax.rows.preparation import Preparer
from ipt_jax.runtime.accelerators import describe_devices
from ipt_jax.runtime.caches import cache_dir
from ipt_jax.tables import Table, text_block
from ipt_jax.tasks import task_of
from ipt_jax.workdir.run_folder import RunFolder

_ONE = Split(PUBLISHED[0])  # any one device whose numbers are bfloat16
_PARTS = ("Training", "Evaluation", "Retrieval", "All")
_LEGEND = (
    "Tokens: of an input with its demonstrations, median and longest, and the room for them. Dropped, cut: "
    "demonstrations and inputs that do not fit.",
    f"Both of at most {SAMPLE:,} examples of a split, with random demonstrations. Arithmetic of all runs of a line, "
    "padding not counted; an answer is taken to be as long as the reference.",
)


def describe(config: ml_collections.ConfigDict, workdir: str | os.PathLike, several: str = spread.DEFAULT) -> str:
    """The plan as text: what is done, populations, token budget, arithmetic, memory, and hours on some devices.

    Nothing is trained, nothing is written but the cache of data tables, and no weights are read: a model is its
    settings and its tokenizer here.

    Args:
      several: devices that share the work, in the words of `spread.parse`.
    """
    sets = spread.parse(several)
    workdir, runs = Path(workdir), resolve(config)
    left = [run for run in runs if not RunFolder(workdir, run.id).finished]
    groups = populations(left)
    heading = f"{config.name}: {len(runs)} runs, {len(runs) - len(left)} of them finished in {workdir}"
    if not left:
        return f"{heading}; nothing to do"
    preparer_of = preparers(config)
    forecasts = [forecast(preparer_of(group[0].settings), group, workdir) for group in groups]
    blocks = [f"{heading}; {len(left)} to do in {len(groups)} populations"]
    for lm in dict.fromkeys(each.lm for each in forecasts):
        own = [each for each in forecasts if each.lm is lm]
        memory = max(each.bytes(_ONE).least for each in own)
        title = (
            f"{lm.name}: {parameters(lm) / 1e6:,.1f} M parameters; in bfloat16 a device needs {memory / 1e9:,.2f} GB "
            "to train one prompt and to decode one row"
        )
        blocks.append(text_block([title], _table(own), []).rstrip())
    blocks.append("\n".join(_LEGEND))
    largest = max((each.lm for each in forecasts), key=parameters)
    here = this_device(largest.decoder.config, largest.dtype)
    blocks.append(hours(forecasts, _embeddings(forecasts, preparer_of), here))
    blocks.append(slice_table.describe(forecasts, sets))
    return "\n\n".join(blocks)


def as_data(config: ml_collections.ConfigDict, workdir: str | os.PathLike) -> dict[str, Any]:
    """The plan for programs: of each population its runs, budget of tokens, arithmetic in FLOP, and bytes.

    `seconds` has training and evaluation on one of each published device, or null where it does not fit.
    """
    workdir, runs = Path(workdir), resolve(config)
    left = [run for run in runs if not RunFolder(workdir, run.id).finished]
    preparer_of = preparers(config)
    found = [forecast(preparer_of(group[0].settings), group, workdir) for group in populations(left)]
    return {
        "name": config.name,
        "runs": len(runs),
        "finished": len(runs) - len(left),
        "populations": [_as_data(each) for each in found],
        "embedding_flop": _embeddings(found, preparer_of),
    }


def _as_data(each: Forecast) -> dict[str, Any]:
    lengths, settings = [len(row.tokens) for row in each.rows], each.settings
    devices = [Split(device) for device in PUBLISHED]
    return {
        "methods": list(dict.fromkeys(run.method for run in each.runs)),
        "runs": [run.id for run in each.runs],
        "untrained": each.untrained,
        "task": settings.task.name,
        "split": settings.task.split,
        "model": each.lm.name,
        "examples": each.examples,
        "tokens": {"median": int(np.median(lengths)), "longest": max(lengths)},
        "room": each.lm.decoder.config.max_positions - settings.layout.prompt_tokens - settings.decoding.max_new_tokens,
        "demonstrations_dropped": sum(row.dropped for row in each.rows),
        "truncated": sum(row.truncated for row in each.rows),
        "flop": {"train": each.train, "evaluate": each.prefill + each.decode},
        "bytes": each.bytes(_ONE).least,
        "seconds": {one.device.name: list(each.seconds(one)) if each.fits(one) else None for one in devices},
    }


def preparers(
    config: ml_collections.ConfigDict,
    outline: Callable[[ml_collections.FrozenConfigDict], loading.FrozenLM] | None = None,
) -> Callable[[ml_collections.FrozenConfigDict], Preparer]:
    """Gives the preparer of a run's settings: one for each task and language model, one outline for each model.

    Args:
      outline: gives the language model of `config.model` without its weights; by default it reads where that says.
    """

    def read(model: ml_collections.FrozenConfigDict) -> loading.FrozenLM:
        return loading.outline(model.source, dtype=model.dtype, revision=model.revision, attention=model.attention)

    outline = functools.cache(outline or read)

    @functools.cache
    def preparer(model: ml_collections.FrozenConfigDict, task: ml_collections.FrozenConfigDict) -> Preparer:
        return Preparer(outline(model), task_of(task), cache_dir(config.execution.cache_dir))

    def of_settings(settings: ml_collections.FrozenConfigDict) -> Preparer:
        task = {leaf: value for leaf, value in settings.task.to_dict().items() if leaf != "split"}
        return preparer(settings.model, ml_collections.FrozenConfigDict(task))

    return of_settings


def _table(forecasts: Sequence[Forecast]) -> Table:
    """A row per population of one language model."""
    header = ["Method", "Prompt rows", "Runs", "Evaluated on", "Examples", "Tokens", "Room", "Dropped", "Cut"]
    rows = []
    for each in forecasts:
        settings, lengths = each.settings, [len(row.tokens) for row in each.rows]
        layout, training = settings.layout, settings.training
        room = each.lm.decoder.config.max_positions - layout.prompt_tokens - settings.decoding.max_new_tokens
        dropped = sum(row.dropped for row in each.rows) / max(1, len(lengths) * layout.demonstrations)
        label, *others = dict.fromkeys(run.method for run in each.runs)
        steps = f"{training.steps:,} of {training.batch_size}" if each.untrained else "–"
        rows.append(
            [
                f"{label} and {len(others)} like it" if others else label,
                str(layout.prompt_tokens),
                str(len(each.runs)),
                f"{settings.task.name} {settings.task.split}",
                f"{each.examples:,}",
                f"{int(np.median(lengths))} to {max(lengths)}",
                f"{room:,}",
                f"{dropped:.1%}",
                f"{np.mean([row.truncated for row in each.rows]):.1%}",
                steps,
                f"{each.train / 1e12:,.2f}",
                f"{(each.prefill + each.decode) / 1e12:,.2f}",
            ]
        )
    return Table([*header, "Steps", "Training, TFLOP", "Evaluation, TFLOP"], rows)


def _embeddings(forecasts: Sequence[Forecast], preparer_of: Callable[..., Preparer]) -> float:
    """FLOP of dense retrieval: every split that demonstrations are chosen for or from, once a model."""
    wanted = {}
    for each in forecasts:
        limit = each.settings.limit
        if each.settings.layout.retriever == "dense":
            splits = limit if each.untrained else {"train", each.settings.task.split}
            preparer = preparer_of(each.settings)
            wanted |= {(preparer, split, limit[split]): None for split in splits}
    return sum(embedding_flop(*key) for key in wanted)


def hours(forecasts: Sequence[Forecast], embeddings: float, here: Device) -> str:
    """Hours of all that is left, on one of each device."""
    rows = []
    for device in (*PUBLISHED, here):
        misfits = dict.fromkeys(each.lm.name for each in forecasts if not each.fits(Split(device)))
        cells = ["–"] * len(_PARTS)
        if not misfits:
            seconds = [each.seconds(Split(device)) for each in forecasts]
            training, evaluation = (sum(column) for column in zip(*seconds, strict=True))
            retrieval = device.seconds(Work(embeddings))
            parts = (training, evaluation, retrieval, training + evaluation + retrieval)
            cells = [rounded(part / 3600) for part in parts]
        fits = f"not {', '.join(misfits)}" if misfits else "yes"
        rows.append([device.name, f"{device.memory / 1e9:,.0f}", fits, *cells, device.source])
    header = ["One device", "Memory, GB", "Fits", *(f"{part}, h" for part in _PARTS), "Rates from"]
    notes = [
        f"Published: dense bfloat16 peaks and bandwidths, {PUBLISHED[0].share:.0%} of which are assumed to be reached, "
        f"and at least {LAYER_SECONDS * 1e6:.0f} µs a layer.",
        f"Measured on {here.name} ({describe_devices()}): {here.flops / 1e9:,.0f} GFLOP/s and "
        f"{here.bandwidth / 1e9:,.0f} GB/s, {here.share:.0%} of which are assumed.",
        "These are estimates and may be wrong by a factor of two or three; small models and batches reach less.",
        "Loading, compiling and scoring come on top. Dense retrieval is counted even if its vectors are cached.",
    ]
    return text_block(["Estimated time of what is left to do"], Table(header, rows), notes)
