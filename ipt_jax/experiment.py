"""The only wiring: config → runs → populations → train → evaluate → results → report."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from ipt_jax import arithmetic, evaluation, memory, mesh, preemption, report, retrieval, slots
from ipt_jax.checkpoints import load_prompt
from ipt_jax.errors import InputError
from ipt_jax.initialisation import initial_rows, loaded_rows
from ipt_jax.models import loading
from ipt_jax.population import Member, arrange, describe_training, together, train_population
from ipt_jax.preparation import Preparer, overlap_of, rows_of
from ipt_jax.results import RunFolder, sync_results
from ipt_jax.runs import Run, expand, populations
from ipt_jax.search import Search
from ipt_jax.sources import resolve_sources
from ipt_jax.storage import canonical_json, write_json
from ipt_jax.tasks import base, get_task
from ipt_jax.training import Trainer

_VERSIONS = ("ipt_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "transformers", "datasets", "sacrebleu")
_log = logging.getLogger(__name__)


def resolve(config: ml_collections.ConfigDict) -> list[Run]:
    """The experiment's runs, with what their data says in their ids.

    Raises:
      InputError: a setting that does not exist or is out of range, or data that is missing.
    """
    hash_of = functools.cache(_data_hash)
    runs = []
    for name, settings in expand(config):
        frozen = ml_collections.FrozenConfigDict(settings)
        runs.append(Run(name, frozen, hash_of(frozen.task)))
    return resolve_sources(runs)


def _data_hash(settings: ml_collections.FrozenConfigDict) -> str:
    task = task_of(settings)
    splits = base.splits_of(task)
    if settings.split not in splits:
        raise InputError(
            f"config.task.split={settings.split!r}: of task {task.name!r} only {', '.join(splits)} can be evaluated"
        )
    return base.data_hash(task, splits)


def task_of(settings: ml_collections.FrozenConfigDict) -> base.Task:
    return get_task(settings.name, settings.data_dir, **settings.options.to_dict())


def run(config: ml_collections.ConfigDict, workdir: str | os.PathLike) -> None:
    """Does what of the experiment is not done yet, then writes the report and prints the table.

    Killed at any moment, the same call goes on from the newest checkpoint and the last prediction. Called
    on a finished experiment it does nothing.

    Raises:
      InputError: something the user can mend; what was finished before stays finished.
    """
    workdir = Path(workdir)
    runs = resolve(config)
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "config.json", config.to_dict())
    sync_results(workdir)
    groups = [group for group in populations(runs) if not all(RunFolder(workdir, run.id).finished for run in group)]
    failures: list[str] = []
    if groups:
        execution = Execution(config.execution, workdir)
        with preemption.restartable():
            for index, group in enumerate(groups):
                ready = [run for run in group if not lacks_source(run, workdir)]
                failures += [
                    f"run {run.id} ({run.method}) needs the prompt of run {run.source.id}, which was not trained"
                    for run in group
                    if run not in ready
                ]
                if ready:
                    failures += execution.run_group(ready, f"[{index + 1}/{len(groups)}] {group[0].method}")
    else:
        _log.info("all %d runs in %s are finished; nothing to do", len(runs), workdir)
    if groups or not (workdir / "report" / "index.html").exists():
        page = report.render([workdir], workdir / "report")
        _log.info("report: %s", page)
    print(report.terminal_table(workdir))
    if failures:
        raise InputError("\n".join(failures))


class Execution:
    """Carries out groups of runs in one process, with one language model in memory at a time."""

    def __init__(self, execution: ml_collections.ConfigDict, workdir: Path):
        self.settings, self.workdir = execution, workdir
        self.cache_dir = cache_dir(execution.cache_dir)
        enable_compilation_cache(self.cache_dir)
        self.devices = mesh.make_mesh(execution.model_devices)
        mesh.check_divisible(self.devices, execution.decode_batch_size, "config.execution.decode_batch_size")
        self._lm = functools.lru_cache(maxsize=1)(self._load)
        self._preparer = functools.lru_cache(maxsize=1)(self._prepare)

    def preparer(self, settings: ml_collections.FrozenConfigDict) -> Preparer:
        """The one for a run's task and language model, whichever split it evaluates."""
        task = settings.task.to_dict()
        del task["split"]
        return self._preparer(settings.model, ml_collections.FrozenConfigDict(task))

    def run_group(self, group: Sequence[Run], title: str) -> list[str]:
        """Trains, evaluates and finishes the unfinished runs of a group; returns a message for each that failed."""
        compiled = compilations()
        settings = group[0].settings
        preparer = self.preparer(settings)
        trained = [run for run in group if run.steps]
        failed = self._train(preparer, trained, title) if trained else {}
        pending = [run for run in group if run.id not in failed and not RunFolder(self.workdir, run.id).finished]
        if pending:
            self._evaluate(preparer, pending, title, compiled)
        return [
            f"run {id}: the loss stopped being finite at step {step}; its last good state is kept under "
            f"{self.workdir / 'populations'}. Lower config.training.learning_rate."
            for id, step in failed.items()
        ]

    def _evaluate(self, preparer: Preparer, runs: Sequence[Run], title: str, compiled: int) -> None:
        """Decodes the runs together and finishes them; `compiled` programs were there before the group began."""
        lm, settings, started = preparer.lm, runs[0].settings, time.monotonic()
        folders = [RunFolder(self.workdir, run.id) for run in runs]
        members = []
        for run, folder in zip(runs, folders, strict=True):
            self._describe(run, folder)
            split = rows_of(preparer, run, run.settings.task.split, with_target=False)
            members.append(evaluation.Member(split, folder.predictions))
        prompts = [
            load_prompt(folder.path) if run.steps else start_of(preparer, run, self.workdir)
            for run, folder in zip(runs, folders, strict=True)
        ]
        prepared = time.monotonic()
        evaluation.predict(
            lm,
            preparer.task,
            jax.device_put(np.stack(prompts), mesh.replicated(self.devices)),
            members,
            Search(**settings.decoding.to_dict()),
            batch_size=self.settings.decode_batch_size,
            devices=self.devices,
            title=f"{title}: decode",
        )
        # Each run's share, so that the runs of an experiment add up to what it took.
        seconds = {
            "prepare": (prepared - started) / len(runs),
            "evaluate": (time.monotonic() - prepared) / len(runs),
        }
        for run, folder, member in zip(runs, folders, members, strict=True):
            measured = {"seconds": seconds, "compilations": compilations() - compiled}
            folder.finish(self._result(preparer, run, folder, member, measured))

    def _load(self, model: ml_collections.FrozenConfigDict) -> loading.FrozenLM:
        _log.info("loading %s", model.source)
        lm = loading.load(
            model.source,
            dtype=model.dtype,
            revision=model.revision,
            attention=model.attention,
            mesh=self.devices,
        )
        commit = f" at commit {lm.revision}" if lm.revision else ""
        _log.info("loaded %s%s: %s on %s", lm.name, commit, lm.dtype, describe_devices())
        return lm

    def _prepare(self, model: ml_collections.FrozenConfigDict, task: ml_collections.FrozenConfigDict) -> Preparer:
        return Preparer(self._lm(model), task_of(task), self.cache_dir)

    def _train(self, preparer: Preparer, group: Sequence[Run], title: str) -> dict[str, int]:
        if all(RunFolder(self.workdir, run.id).prompt.exists() for run in group):
            return {}
        members = {run.id: self._member(preparer, run) for run in group}
        arrangement = arrange(
            preparer.lm,
            list(members.values()),
            self.devices,
            axis=self.settings.population_axis,
            rematerialisation=self.settings.rematerialisation,
            budget=memory.device_budget(self.settings.memory_gb),
        )
        failed: dict[str, int] = {}
        while runs := together(self.workdir, [run for run in group if run.id not in failed], arrangement.size):
            failed |= train_population(
                preparer.lm,
                [members[run.id] for run in runs],
                self.devices,
                workdir=self.workdir,
                checkpoint_every=self.settings.checkpoint_every,
                log_every=self.settings.log_every,
                warn_after=self.settings.warn_after,
                arrangement=arrangement,
                title=f"{title}: train {len(runs)} prompt{'s' * (len(runs) > 1)}",
            )
        return failed

    def _member(self, preparer: Preparer, run: Run) -> Member:
        folder = RunFolder(self.workdir, run.id)
        self._describe(run, folder)
        train = rows_of(preparer, run, "train", with_target=True)
        dev = rows_of(preparer, run, "dev", with_target=True)
        start = start_of(preparer, run, self.workdir)
        return Member(run, folder, train.rows, dev.rows[: run.settings.training.dev_examples], start)

    def _describe(self, run: Run, folder: RunFolder) -> None:
        if not folder.run_json.exists():
            folder.path.mkdir(parents=True, exist_ok=True)
            write_json(folder.run_json, {"name": run.name, "method": run.method, **run.identity()})

    def _result(
        self, preparer: Preparer, run: Run, folder: RunFolder, member: evaluation.Member, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """The score of a run and everything that can change it; the keys are those of the design."""
        settings, lm, task, split = run.settings, preparer.lm, preparer.task, member.split
        scores = evaluation.score(task, member)
        training = None
        if run.steps:
            examples = len(preparer.split("train", settings.limit.train))
            training, train = describe_training(lm, run, folder, examples, self.settings.warn_after)
            measured = {**measured, "seconds": {"train": train, **measured["seconds"]}}
        return {
            "run": run.id,
            "name": run.name,
            "task": task.name,
            "task_title": task.title,
            "task_options": dict(task.options),
            "split": settings.task.split,
            "model": lm.name,
            "model_fingerprint": lm.fingerprint,
            "model_revision": lm.revision,
            "method": run.method,
            "prompt_tokens": settings.layout.prompt_tokens,
            "demonstrations": settings.layout.demonstrations,
            "retriever": settings.layout.retriever,
            "layout": settings.layout.to_dict(),
            "prompt_source": _source_of(run),
            "seed": settings.seed,
            "metric": task.metric,
            "score": scores[task.metric],
            "scores": scores,
            "examples": len(split.rows),
            "limit": settings.limit.to_dict(),
            "truncated": sum(row.truncated for row in split.rows),
            "demonstrations_dropped": sum(row.dropped for row in split.rows),
            "duplicates_excluded": split.duplicates_excluded,
            "decoding": settings.decoding.to_dict(),
            "training": training,
            "dtype": lm.dtype,
            "attention": settings.model.attention,
            "devices": describe_devices(),
            "arithmetic": self._arithmetic(preparer, run, member),
            "overlap": overlap_of(preparer, run),
            **measured,
            "config_hash": hashlib.sha256(canonical_json(run.identity())).hexdigest(),
            "data_hash": run.data_hash,
            "versions": {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in _VERSIONS},
        }

    def _arithmetic(self, preparer: Preparer, run: Run, member: evaluation.Member) -> dict[str, float | None]:
        """FLOP of the run, its prompt trained and decoded alone; None where it cannot be known any more."""
        config, settings, written = preparer.lm.decoder.config, run.settings, evaluation.written(member)
        prompt_rows, sources = settings.layout.prompt_tokens, [row.tokens for row in member.split.rows]
        train, evaluate = 0.0, None
        if run.steps:
            learned = [rows_of(preparer, run, split, with_target=True).rows for split in ("train", "dev")]
            dev = learned[1][: settings.training.dev_examples]
            train = arithmetic.training_flop(config, settings.training, prompt_rows, learned[0], dev, settings.seed)
        if written is not None:
            beams, lengths = settings.decoding.num_beams, [len(tokens) for tokens in sources]
            evaluate = arithmetic.prefill_flop(config, prompt_rows, sources)
            evaluate += arithmetic.decoding_flop(config, prompt_rows, lengths, written, beams)
        return {"train": train, "evaluate": evaluate}


def _source_of(run: Run) -> dict[str, Any] | None:
    """Which run the prompt was taken from."""
    source = run.source
    return source and {"run": source.id, "task": source.settings.task.name, "method": source.method}


def lacks_source(run: Run, workdir: Path) -> bool:
    """Whether the run waits for another one's prompt."""
    return run.source is not None and not RunFolder(workdir, run.source.id).prompt.exists()


def start_of(preparer: Preparer, run: Run, workdir: Path) -> np.ndarray:
    """f32[P, E], the rows that the run's prompt starts from: its own, or those that another run has trained."""
    if run.source is not None:
        return loaded_rows(
            preparer.lm, RunFolder(workdir, run.source.id).checkpoints, run.settings.layout.prompt_tokens
        )
    limit = run.settings.limit.get("train", 0)
    return initial_rows(preparer.lm, run.settings, lambda: preparer.split("train", limit))


def cache_dir(configured: str) -> Path:
    """Where vectors, tables and compiled programs are kept between experiments."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(configured) if configured else Path(home) / "ipt_jax"


def enable_compilation_cache(folder: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def compilations() -> int:
    """Programs compiled (or read from the cache of compiled ones) so far for the functions that matter."""
    functions = (Trainer.step, Trainer.losses, retrieval.mean_hidden)
    return sum(function._cache_size() for function in functions) + slots.compilations()


def describe_devices() -> str:
    """Such as `8 × NVIDIA H200`, or for a CPU its cores."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        return f"CPU, {len(os.sched_getaffinity(0))} cores"
    return f"{jax.device_count()} × {first.device_kind}"
