"""An experiment's populations as jobs that programs on many machines share out: ids, order, locks.

A job is done in one piece by one program. What is finished is known from the run folders alone, so a job that is
started twice, or again, does what is left of it and no more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.run import Run
from ipt_jax.runtime import preemption, processes
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.locks import try_lock
from ipt_jax.workdir.run_folder import RunFolder

_POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Job:
    """One population with all its runs, finished or not."""

    runs: tuple[Run, ...]

    @functools.cached_property
    def id(self) -> str:
        """12 hex digits, a hash of the ids of its runs: the same as long as the same runs make up the population."""
        return hashlib.sha256("\n".join(sorted(run.id for run in self.runs)).encode()).hexdigest()[:12]

    @property
    def depth(self) -> int:
        """How many jobs must be done before it, one after another."""
        return self.runs[0].depth

    def description(self) -> str:
        """For people: method, task and language model."""
        settings = self.runs[0].settings
        methods = " and ".join(dict.fromkeys(run.method for run in self.runs))
        return f"{methods}; {settings.task.name} {settings.task.split}; {settings.model.source}"


def jobs_of(runs: Sequence[Run]) -> list[Job]:
    """The jobs of an experiment, in an order in which none waits for a later one."""
    return [Job(tuple(group)) for group in populations(runs)]


def unfinished(runs: Sequence[Run], workdir: Path) -> list[Run]:
    """Those of the runs that have no result yet, on all processes those that the first one sees."""
    left = set(processes.from_first(lambda: [run.id for run in runs if not RunFolder(workdir, run.id).finished]))
    return [run for run in runs if run.id in left]


def without_source(runs: Sequence[Run], workdir: Path) -> list[Run]:
    """Those of the runs that wait for the prompt of another run, which is not there yet."""

    def waits(run: Run) -> bool:
        return run.source is not None and not run.source.trained_file(workdir).exists()

    waiting = set(processes.from_first(lambda: [run.id for run in runs if waits(run)]))
    return [run for run in runs if run.id in waiting]


@dataclasses.dataclass(frozen=True)
class Left:
    """What is left of a job.

    Attributes:
      id: for --only.
      runs: the ids of those that have no result.
      depth: how many jobs it waits for, one after another.
      description: for people.
    """

    id: str
    runs: tuple[str, ...]
    depth: int
    description: str

    def line(self) -> str:
        """Id, how many runs are left, depth, description, separated by tabs."""
        return f"{self.id}\t{len(self.runs)}\t{self.depth}\t{self.description}"


def listing(jobs: Sequence[Job], workdir: Path) -> list[Left]:
    """Of each job that is not finished, what is left."""
    left = [(job, tuple(run.id for run in unfinished(job.runs, workdir))) for job in jobs]
    return [Left(job.id, runs, job.depth, job.description()) for job, runs in left if runs]


def select(jobs: Sequence[Job], ids: Sequence[str]) -> list[Job]:
    """The jobs with these ids, in the order of the jobs.

    Raises:
      InputError: there is no such job.
    """
    known = [job.id for job in jobs]
    for id in ids:
        if id not in known:
            near = difflib.get_close_matches(id, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
            raise InputError(
                f"--only={id}: this experiment has no such job; {hint} --list shows what is left to do. An id changes "
                "with all that changes a run: settings, data, and model.dtype='auto', which is that of this machine "
                "unless config.execution.platform names another kind"
            )
    return [job for job in jobs if job.id in ids]


def check_sources(chosen: Sequence[Job], jobs: Sequence[Job], workdir: Path) -> None:
    """Raises InputError where a chosen job waits for prompts that neither are there nor are among the chosen ones."""
    coming = {run.id for job in chosen for run in job.runs}
    for job in chosen:
        waiting = without_source(unfinished(job.runs, workdir), workdir)
        sources = {run.source.id for run in waiting if run.source.id not in coming}
        first = [other.id for other in jobs if sources & {run.id for run in other.runs}]
        if first:
            raise InputError(
                f"--only={job.id} ({job.description()}) needs prompts that are not trained yet; do first: "
                f"--only={','.join(first)}"
            )


@contextlib.contextmanager
def locked(job: Job, workdir: Path) -> Iterator[None]:
    """Waits until no other program works on a run of the job; then none does until the end of the block.

    Runs are locked, not jobs: a run may be part of jobs of two experiments in one working directory.
    """
    folder = Path(workdir) / "locks"
    held: list[contextlib.ExitStack] = []

    def take() -> bool:
        make_folder(folder)
        lock = try_lock(folder / id for id in sorted(run.id for run in job.runs))
        held.extend([lock] if lock else [])
        return bool(held)

    told = False
    while not processes.from_first(take):
        if not told:
            _log.info("job %s (%s): another program is at it; waiting", job.id, job.description())
            told = True
        preemption.check()
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        for lock in held:
            lock.close()
