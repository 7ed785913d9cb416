"""Trains one population from its first step to its members' run folders; survives a kill at any point."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ipt_jax.adapters import monitors
from ipt_jax.adapters.files import prompt_metadata, save_prompt
from ipt_jax.adapters.trained import TrainedAdapter, save_adapter
from ipt_jax.errors import InputError
from ipt_jax.experiment.of_run import leading_bos, trained_arrays
from ipt_jax.experiment.run import Run
from ipt_jax.models.loading import FrozenLM
from ipt_jax.rows.batching import Batch, collate
from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.layout import Row
from ipt_jax.rows.order import RULE, RULES, UNNAMED
from ipt_jax.runtime import device_memory, mesh, processes
from ipt_jax.training import memory, trackers
from ipt_jax.training.checkpoints import Checkpoints
from ipt_jax.training.feed import Feed, Learner
from ipt_jax.training.journal import Cadence, JsonLinesJournal
from ipt_jax.training.loop import train
from ipt_jax.training.recipe import recipe_of
from ipt_jax.training.step import NEVER, Trainer, TrainState
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import read_json, read_rows, write_json
from ipt_jax.workdir.run_folder import RunFolder

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Member:
    """One run of a population: its settings, its folder, what it learns from, and what its adapter starts from.

    Attributes:
      train_teachers, dev_teachers: as of `training.feed.Learner`.
    """

    run: Run
    folder: RunFolder
    train_rows: Sequence[Row]
    dev_rows: Sequence[Row]
    start: Any
    train_teachers: Sequence[Row] = ()
    dev_teachers: Sequence[Row] = ()


def together(workdir: Path, group: Sequence[Run], size: int) -> list[Run]:
    """Which runs of a group are to be trained together now; none when all have their prompts.

    The first `size` that have no prompt yet, unless a killed process already began with a population that holds
    one of them: then that very population, so that it goes on with its own arithmetic to the last bit.
    """
    lacking = [run for run in group if not run.trained_file(workdir).exists()]
    for record in sorted((workdir / "populations").glob("*/population.json")):
        begun = _begun(record)
        if begun & {run.id for run in lacking} and begun <= {run.id for run in group}:
            return [run for run in group if run.id in begun]
    return lacking[:size]


def _begun(record: Path) -> set[str]:
    try:
        return set(map(str, read_json(record, {"runs": list})["runs"]))
    except FileNotFoundError:  # another program has just finished that population
        return set()


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """How a population is laid out in memory and over devices.

    Attributes:
      size: prompts that are trained at once.
      rematerialisation: see `models.rematerialisation`.
      axis: what the devices share out: the `rows` of all members, or whole `members`.
    """

    size: int
    rematerialisation: str
    axis: str


def arrange(
    lm: FrozenLM, members: Sequence[Member], devices: Mesh, *, axis: str, rematerialisation: str, budget: int
) -> Arrangement:
    """Chooses what a step on the members' longest rows needs to stay within a device's budget of bytes.

    `auto` keeps the results of matrix products, or, where not even one prompt fits so, each layer's input alone.
    """
    groups, model_devices = devices.shape["data"], devices.shape["model"]
    learned = members[0].train_rows, members[0].dev_rows, members[0].train_teachers
    estimate = functools.partial(
        memory.step_estimate,
        lm.decoder,
        members[0].run.settings,
        np.concatenate([row_sizes(rows) for rows in learned]),
        model=memory.ModelBytes(device_memory.bytes_on_device(lm.params), np.dtype(lm.dtype).itemsize),
        spread=mesh.Spread(1 if axis == "members" else groups, model_devices),
    )

    policy = rematerialisation
    if policy == "auto":
        policy = "dots" if estimate(1, "dots").total <= budget else "block"
    multiple = groups if axis == "members" else 1
    size = memory.population_size(len(members), lambda count: estimate(count, policy), budget, multiple)
    if size < len(members):
        needed = estimate(math.ceil(len(members) / multiple), policy).total
        _log.info(
            "%d prompts would take %.3g GB of a device's %.3g GB: trained %d at a time, with rematerialisation %r",
            *(len(members), needed / 1e9, budget / 1e9, size, policy),
        )
    return Arrangement(size, policy, axis)


def train_population(
    lm: FrozenLM,
    members: Sequence[Member],
    devices: Mesh,
    workdir: Path,
    arrangement: Arrangement,
    execution: Any,
    title: str,
) -> dict[str, int]:
    """Trains the members together and writes each one's prompt and final checkpoint into its run folder.

    Args:
      arrangement: from `arrange`.
      execution: the settings `checkpoint_every`, `log_every`, `trackers` and `warn_after`.
      title: what it is called in its bar and messages.

    Returns:
      The members that failed: run id → the step whose loss was not finite. They get no prompt; the
      checkpoint of the population, with their last good state, stays.
    """
    settings = members[0].run.settings
    training, ids = settings.training, [member.run.id for member in members]
    home = workdir / "populations" / hashlib.sha256("".join(ids).encode()).hexdigest()[:12]
    rule = processes.from_first(lambda: _begin(home, ids))
    seeds = [member.run.settings.seed for member in members]
    adapters, params = members[0].run.adapter.create([member.start for member in members], settings, seeds)
    trainer = Trainer(
        lm.decoder,
        adapters,
        recipe_of(training),
        arrangement.rematerialisation,
        arrangement.axis,
        leading_bos(lm, settings),
    )
    spread_members = arrangement.axis == "members"
    if spread_members:
        mesh.check_divisible(devices, len(members), "config.execution.population_axis='members': the population's size")
    else:
        part = training.batch_size // training.accumulate
        mesh.check_divisible(devices, part, "config.training.batch_size / config.training.accumulate")
    limit = lm.decoder.config.max_positions - settings.layout.prompt_tokens

    def put(rows: list[list[Row]], shapes: np.ndarray, shared: int) -> Batch:
        axis = 0 if spread_members else 1
        held = mesh.held(devices, (len(rows), len(rows[0])), axis)
        return mesh.put_rows(devices, collate(rows, shapes, held, shared), axis)

    own = [(member.run.settings.seed, member.run.settings.training.learning_rate) for member in members]
    learners = [
        Learner(*pair, member.train_rows, member.dev_rows, member.train_teachers, member.dev_teachers)
        for pair, member in zip(own, members, strict=True)
    ]
    files, names = [member.folder.metrics for member in members], [f"run {id}" for id in ids]
    checkpoints = Checkpoints(home / "checkpoints")
    journal = trackers.TrackedJournal(
        JsonLinesJournal(title, files, names, execution.warn_after),
        [
            trackers.Curve(workdir.resolve().name, member.run.id, member.folder.path, member.run.settings.to_dict())
            for member in members
        ],
        trackers.named(execution.trackers),
    )
    try:
        state = train(
            trainer,
            mesh.put_members(devices, trainer.init(params), spread=spread_members),
            lm.params,
            Feed(learners, training, limit, rule, put),
            Cadence(training.eval_every, execution.checkpoint_every, execution.log_every),
            checkpoints,
            journal,
        )
    finally:
        journal.finish()
    checkpoints.close()

    state = jax.tree.map(mesh.on_host, state)
    failed = {run: int(step) for run, step in zip(ids, state.failed_step, strict=True) if step != NEVER}
    for k, member in enumerate(members):
        if member.run.id not in failed:
            own = Checkpoints(member.folder.checkpoints, keep=1)
            own.save(int(state.step), jax.tree.map(lambda leaf, k=k: leaf[k : k + 1] if leaf.ndim else leaf, state))
            own.close()
    processes.from_first(lambda: _finish(home, lm, members, state, failed, rule))
    return failed


def _bytes(kept: Any) -> int:
    """Of what is kept of an adapter, as float32."""
    return sum(4 * np.asarray(leaf).size for leaf in jax.tree.leaves(kept))


def _begin(home: Path, ids: Sequence[str]) -> int:
    """Records the population, and by which rule of order it is trained: the one that it was begun by, if it was."""
    record, rule = home / "population.json", RULE
    if record.exists():
        rule = read_json(record).get("order", UNNAMED)
    if type(rule) is not int or rule not in RULES:
        raise InputError(
            f"{record}: order={rule!r} is a rule that this version of ipt_jax does not know; go on with the version "
            f"that began it, or delete {home} to begin anew"
        )
    make_folder(home)
    write_json(record, {"runs": ids, "order": rule})
    return rule


def _finish(
    home: Path, lm: FrozenLM, members: Sequence[Member], state: TrainState, failed: dict[str, int], rule: int
) -> None:
    """Writes the adapter of every member that did not fail; the population's own folder stays if one did."""
    for k, member in enumerate(members):
        if member.run.id not in failed:
            metadata = {
                "model": lm.name,
                "model_fingerprint": lm.fingerprint,
                "run": member.run.id,
                "population": str(len(members)),
                "order": str(rule),
                "best_step": str(int(state.best_step[k])),
                "best_dev_loss": str(float(state.best_dev_loss[k])),
            }
            best = jax.tree.map(lambda leaf, k=k: leaf[k], state.best_prompt)
            if member.run.adapter.name == "prompt":
                save_prompt(member.folder.prompt, best, metadata)
            else:
                save_adapter(member.folder.adapter, TrainedAdapter(member.run.adapter.name, best), metadata)
    if failed:
        told = {"runs": [member.run.id for member in members], "order": rule, "failed": failed}
        write_json(home / "population.json", told)
    else:
        shutil.rmtree(home)


def describe_training(
    lm: FrozenLM, run: Run, folder: RunFolder, examples: int, warn_after: int
) -> tuple[dict[str, Any], float]:
    """What a result says of the training, and the run's share of the seconds that its population's steps took.

    Read from the metrics, because other processes may have done a part of the training. `host_wait` is the share
    of the time in which the device waited for the host.
    """
    needs = ("best_step", "best_dev_loss", "population")
    metadata, rows = processes.from_first(
        lambda: [prompt_metadata(run.trained_file(folder.workdir), needs), read_rows(folder.metrics, {"step": int})]
    )
    kept = trained_arrays(folder, run, lm)
    timed = [row for row in rows if "seconds" in row]
    seconds = math.fsum(row["seconds"] for row in timed)
    waited = math.fsum(row["seconds"] * row.get("host_wait", 0.0) for row in timed)
    best_step = int(metadata["best_step"])
    described = run.settings.training.to_dict() | {
        "examples": examples,
        "order": int(metadata.get("order", UNNAMED)),
        "reparameterisation": run.settings.prompt.reparameterisation,
        "initialisation": run.settings.prompt.initialisation,
        "best_step": best_step,
        "best_dev_loss": float(metadata["best_dev_loss"]),
        "host_wait": waited / seconds if seconds else None,
    }
    described |= monitors.summary(lm, kept if run.adapter.name == "prompt" else None, rows, best_step, warn_after)
    described |= {"numbers": run.adapter.numbers(run.settings, lm.decoder.config), "bytes": _bytes(kept)}
    return described, seconds / int(metadata["population"])
