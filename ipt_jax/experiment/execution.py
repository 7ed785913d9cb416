"""Carries out populations: loads the model, trains what lacks its prompt, decodes, writes the results."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from ipt_jax import retrieval
from ipt_jax.decoding import slots
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.stopping import check_ends
from ipt_jax.errors import InputError
from ipt_jax.experiment import evaluation, jobs, outcome
from ipt_jax.experiment.of_run import injected, rows_of, start_of, teacher_rows_of, trained_arrays
from ipt_jax.experiment.population import Member, arrange, describe_training, together, train_population
from ipt_jax.experiment.run import Run
from ipt_jax.models import loading
from ipt_jax.rows.preparation import Preparer
from ipt_jax.runtime import device_memory, host_memory, mesh, processes
from ipt_jax.runtime.accelerators import describe_devices
from ipt_jax.runtime.caches import cache_dir, enable_compilation_cache
from ipt_jax.tasks import task_of
from ipt_jax.training.step import Trainer
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import RunFolder

_log = logging.getLogger(__name__)


class Execution:
    """Carries out groups of runs in one program, with one language model in memory at a time.

    Of several processes all call the same methods in the same order: they load, prepare, train and decode together,
    each on its own devices, and the first one reads and writes the run folders.
    """

    def __init__(self, execution: ml_collections.ConfigDict, workdir: Path):
        self.settings, self.workdir = execution, workdir
        self.cache_dir = cache_dir(execution.cache_dir)
        enable_compilation_cache(self.cache_dir)
        self.devices = mesh.make_mesh(execution.model_devices)
        mesh.connect(self.devices)
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
        preparer = self.preparer(group[0].settings)
        search = Search(**group[0].settings.decoding.to_dict())
        # Both before hours of training.
        check_ends(search.eos_token_id or (), preparer.lm.decoder.config.vocab_size)
        group[0].adapter.check(group[0].settings, preparer.lm.decoder.config)
        trained = [run for run in group if run.steps]
        failed = self._train(preparer, trained, title) if trained else {}
        pending = jobs.unfinished([run for run in group if run.id not in failed], self.workdir)
        if pending:
            self._evaluate(preparer, pending, title, compiled)
        return [
            f"run {id}: the loss stopped being finite at step {step}; its last good state is kept under "
            f"{self.workdir / 'populations'}. Lower config.training.learning_rate."
            for id, step in failed.items()
        ]

    def _evaluate(self, preparer: Preparer, runs: Sequence[Run], title: str, compiled: int) -> None:
        """Decodes the runs together and finishes them; `compiled` programs were there before the group began."""
        settings, started = runs[0].settings, time.monotonic()
        folders = [self._folder(run) for run in runs]
        processes.from_first(lambda: _describe(preparer.lm, runs, folders))
        members, adapters = [], []
        for run, folder in zip(runs, folders, strict=True):
            split = rows_of(preparer, run, run.settings.task.split, with_target=False)
            members.append(evaluation.Member(preparer.task, split, folder.predictions))
            if run.steps:
                adapters.append(trained_arrays(folder, run, preparer.lm))
            else:
                adapters.append(start_of(preparer, run, self.workdir))
        prepared = time.monotonic()
        evaluation.predict(
            preparer.lm,
            injected(
                preparer.lm,
                settings,
                runs[0].adapter.inject(mesh.put(_stacked(adapters), mesh.replicated(self.devices))),
            ),
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
            self._finish(preparer, run, folder, member, measured)

    def _finish(
        self, preparer: Preparer, run: Run, folder: RunFolder, member: evaluation.Member, measured: dict[str, Any]
    ) -> None:
        """Writes what the run came to. All that may need the devices, or other processes, comes before the writing."""
        training, train_flop = None, 0.0
        if run.steps:
            examples = len(preparer.split("train", run.settings.limit.train))
            training, train = describe_training(preparer.lm, run, folder, examples, self.settings.warn_after)
            measured = {**measured, "seconds": {"train": train, **measured["seconds"]}}
            train_flop = outcome.training_flop(preparer, run, training["order"])
        processes.from_first(
            lambda: _write(folder, outcome.result(preparer, run, member, training, train_flop, measured))
        )

    def _load(self, model: ml_collections.FrozenConfigDict) -> loading.FrozenLM:
        _log.info("loading %s", model.source)
        lm = processes.on_all(
            lambda: loading.load(
                model.source,
                dtype=model.dtype,
                revision=model.revision,
                attention=model.attention,
                mesh=self.devices,
            )
        )
        processes.check_same(f"weights of {model.source}", lm.fingerprint)
        commit = f" at commit {lm.revision}" if lm.revision else ""
        _log.info("loaded %s%s: %s on %s", lm.name, commit, lm.dtype, describe_devices())
        if said := host_memory.advice():
            _log.info("%s", said)
        return lm

    def _prepare(self, model: ml_collections.FrozenConfigDict, task: ml_collections.FrozenConfigDict) -> Preparer:
        return Preparer(self._lm(model), task_of(task), self.cache_dir)

    def _train(self, preparer: Preparer, group: Sequence[Run], title: str) -> dict[str, int]:
        if not self._together(group, len(group)):
            return {}
        processes.from_first(lambda: _describe(preparer.lm, group, [self._folder(run) for run in group]))
        members = {run.id: self._member(preparer, run) for run in group}
        arrangement = arrange(
            preparer.lm,
            list(members.values()),
            self.devices,
            axis=self.settings.population_axis,
            rematerialisation=self.settings.rematerialisation,
            budget=processes.least(device_memory.device_budget(self.settings.memory_gb)),
        )
        failed: dict[str, int] = {}
        while runs := self._together([run for run in group if run.id not in failed], arrangement.size):
            failed |= train_population(
                preparer.lm,
                [members[run.id] for run in runs],
                self.devices,
                self.workdir,
                arrangement,
                self.settings,
                title=f"{title}: train {len(runs)} prompt{'s' * (len(runs) > 1)}",
            )
        return failed

    def _together(self, group: Sequence[Run], size: int) -> list[Run]:
        """Which runs are to be trained together now, as the first process sees it."""
        chosen = processes.from_first(lambda: [run.id for run in together(self.workdir, group, size)])
        return [run for run in group if run.id in chosen]

    def _member(self, preparer: Preparer, run: Run) -> Member:
        train = rows_of(preparer, run, "train", with_target=True)
        dev = rows_of(preparer, run, "dev", with_target=True)
        start = start_of(preparer, run, self.workdir)
        taught = [teacher_rows_of(preparer, run, split) for split in ("train", "dev")]
        measured = run.settings.training.dev_examples
        rows = train.rows, dev.rows[:measured], start, taught[0], taught[1][:measured]
        return Member(run, self._folder(run), *rows)

    def _folder(self, run: Run) -> RunFolder:
        return RunFolder(self.workdir, run.id)


def _stacked(adapters: Sequence[Any]) -> Any:
    """One tree of arrays for each member → one tree, with a leading member axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *adapters)


def _write(folder: RunFolder, result: dict[str, Any]) -> None:
    """Finishes a run, and says what it came to: the first number of an experiment stands there before its last run."""
    folder.finish(result)
    seed = f", seed {result['seed']}" if result["training"] else ""
    _log.info("%s%s: %s %.1f", result["method"], seed, result["metric"], result["score"])


def _describe(lm: loading.FrozenLM, runs: Sequence[Run], folders: Sequence[RunFolder]) -> None:
    """Writes run.json of the runs that have none.

    Raises:
      InputError: what there is of a run was made with other weights; going on would make one result of two models.
    """
    for run, folder in zip(runs, folders, strict=True):
        known = read_json(folder.run_json) if folder.run_json.exists() else None
        before = lm.fingerprint if known is None else known.get("model_fingerprint", lm.fingerprint)
        begun = any(path.exists() for path in (folder.metrics, run.trained_file(folder.workdir), folder.predictions))
        if before != lm.fingerprint and begun:
            raise InputError(
                f"{folder.path} was begun with other weights than config.model.source={run.settings.model.source!r} "
                f"holds now (fingerprint {before[:12]} then, {lm.fingerprint[:12]} now); put the former ones back, or "
                "choose another --workdir"
            )
        if known is None or before != lm.fingerprint:
            make_folder(folder.path)
            told = {"name": run.name, "method": run.method, "data_dir": run.settings.task.data_dir}
            write_json(folder.run_json, {**told, "model_fingerprint": lm.fingerprint, **run.identity()})


def compilations() -> int:
    """Programs compiled (or read from the cache of compiled ones) so far for the functions that matter."""
    functions = (Trainer.step, Trainer.losses, retrieval.mean_hidden)
    return sum(function._cache_size() for function in functions) + slots.compilations()
