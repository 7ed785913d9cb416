"""The only wiring: config → runs → populations → train → evaluate → results → report."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import jax
import ml_collections

from ipt_jax import report
from ipt_jax.errors import InputError
from ipt_jax.experiment import jobs
from ipt_jax.experiment.execution import Execution
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.jobs import Job, Left
from ipt_jax.experiment.prompt_sources import resolve_sources
from ipt_jax.experiment.run import Run
from ipt_jax.runtime import accelerators, log, preemption, processes
from ipt_jax.tasks import base, task_of
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import write_json
from ipt_jax.workdir.run_folder import sync_results

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
        runs.append(Run(name, frozen, hash_of(frozen.task, frozenset(settings["limit"]))))
    return resolve_sources(runs)


def _data_hash(settings: ml_collections.FrozenConfigDict, read: frozenset[str]) -> str:
    """Of all the task's files, whether a run reads them or not; those of splits that it does not read may be absent."""
    task = task_of(settings)
    splits = base.splits_of(task)
    if settings.split not in splits:
        raise InputError(
            f"config.task.split={settings.split!r}: of task {task.name!r} only {', '.join(splits)} can be evaluated"
        )
    return base.data_hash(task, [split for split in splits if split in read or base.is_there(task, split)])


def list_jobs(config: ml_collections.ConfigDict, workdir: str | os.PathLike) -> list[Left]:
    """What is left of the experiment, of each population; see `jobs.listing`. Nothing is computed for it."""
    return jobs.listing(jobs.jobs_of(resolve(config)), Path(workdir))


def run(config: ml_collections.ConfigDict, workdir: str | os.PathLike, only: Sequence[str] = ()) -> None:
    """Does what of the experiment is not done yet, then writes the report and prints the table.

    Killed at any moment, the same call goes on from the newest checkpoint and the last prediction. Called
    on a finished experiment it does nothing. Several programs may work in one working directory.

    Args:
      only: ids of the jobs to do; then there is no report. By default all of them.

    Raises:
      InputError: something the user can mend; what was finished before stays finished.
    """
    accelerators.require(config.execution.platform)
    processes.meet()
    if not processes.is_first():
        log.show_warnings_of(f"process {jax.process_index()}")
    workdir = Path(workdir)
    runs = processes.on_all(lambda: resolve(config))
    processes.check_same("runs", [run.id for run in runs])
    every = jobs.jobs_of(runs)
    chosen = jobs.select(every, only) if only else every
    processes.from_first(lambda: _begin(config, workdir))
    left = [job for job in chosen if jobs.unfinished(job.runs, workdir)]
    if only:
        jobs.check_sources(left, every, workdir)
    failures: list[str] = []
    if left:
        execution = Execution(config.execution, workdir)
        with preemption.restartable():
            for index, job in enumerate(left):
                preemption.check()
                with jobs.locked(job, workdir):
                    failures += _carry_out(execution, job, f"[{index + 1}/{len(left)}] {job.runs[0].method}")
    else:
        what = f"jobs {', '.join(only)}" if only else f"all {len(runs)} runs"
        _log.info("%s in %s: finished; nothing to do", what, workdir)
    if not only:
        processes.from_first(lambda: _report(workdir, changed=bool(left)))
    if failures:
        raise InputError("\n".join(failures))


def _begin(config: ml_collections.ConfigDict, workdir: Path) -> None:
    make_folder(workdir)
    write_json(workdir / "config.json", config.to_dict())
    sync_results(workdir)


def _carry_out(execution: Execution, job: Job, title: str) -> list[str]:
    """Does what is left of a job; returns a message for each run that failed, or whose prompt's source did."""
    if not jobs.unfinished(job.runs, execution.workdir):  # another program has just done it
        return []
    waiting = jobs.without_source(job.runs, execution.workdir)
    ready = [run for run in job.runs if run not in waiting]
    failures = execution.run_group(ready, title) if ready else []
    return failures + [
        f"run {run.id} ({run.method}) needs the prompt of run {run.source.id}, which was not trained" for run in waiting
    ]


def _report(workdir: Path, changed: bool) -> None:
    """Renders the page unless it has all results already, and prints the table."""
    page, results = workdir / "report" / "index.html", workdir / "results.jsonl"
    if changed or not page.exists() or results.stat().st_mtime > page.stat().st_mtime:
        _log.info("report: %s", report.render([workdir], workdir / "report"))
    print(report.terminal_table(workdir))
