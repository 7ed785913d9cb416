"""Does an experiment on a Ray cluster: a task for each population, over and over until all are finished.

    python launch/ray_sweep.py --config=dart --workdir=/shared/runs/dart --gpus_per_job=1 --address=auto

All other flags are those of `python -m ipt_jax.main`, which every task runs with `--only=ID`. All nodes need the
working directory, the data and this repository at the same paths, and an environment in which ray and ipt_jax can be
imported. Needs the extra `ipt_jax[sweeps]`. Stopped at any moment, the same command goes on.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESTART, WRONG_INPUT = 75, 2  # see ipt_jax/runtime/preemption.py and ipt_jax/cli.py
_TAIL = 3000  # characters of a failed job's output that are shown
_PR_SET_PDEATHSIG = 1


class Job(NamedTuple):
    """A line of `--list`."""

    id: str
    runs: int
    depth: int
    description: str


class Ended(NamedTuple):
    """How a command ended: its exit status, all it printed, and the end of what it had to say."""

    status: int
    printed: str
    said: str


def run_command(arguments: list[str], folder: str) -> Ended:
    """`python -m ipt_jax.main` in a worker. It gets SIGTERM, and so saves its step, when the worker dies."""

    def die_with_the_worker() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "ipt_jax.main", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        preexec_fn=die_with_the_worker,
    )
    return Ended(done.returncode, done.stdout, done.stderr[-_TAIL:])


def main() -> None:
    own, flags = parse()  # before anything is loaded that --help can do without
    try:
        import ray
    except ImportError:
        sys.exit('error: Ray is not installed; run: pip install "ipt_jax[sweeps]"')
    from tqdm import tqdm

    ray.init(address=own.address, log_to_driver=False, configure_logging=False)
    task = ray.remote(num_cpus=own.cpus_per_job, num_gpus=own.gpus_per_job, max_retries=0)(run_command)
    command = [f"--config={own.config}", f"--workdir={own.workdir.resolve()}", *flags]
    # Listed where the jobs will run: model.dtype='auto', a part of their ids, depends on the kind of device.
    listed = ray.get(task.remote([*command, "--list"], os.getcwd()))
    if listed.status:
        sys.exit(listed.said)
    jobs = [parse_line(line) for line in listed.printed.splitlines()]
    chances = {"restart": own.restarts, "failure": own.attempts, "wrong input": 1}
    failed: list[Job] = []
    with tqdm(total=len(jobs), unit="job") as progress:
        for depth in sorted({job.depth for job in jobs}):
            ready = [job for job in jobs if job.depth == depth]
            failed += finish(task, command, ready, chances, progress)
    report = [sys.executable, "-m", "ipt_jax.report", str(own.workdir), f"--output={own.workdir / 'report'}"]
    subprocess.run(report, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    if failed:
        sys.exit(f"error: {len(failed)} of {len(jobs)} jobs failed: {', '.join(job.id for job in failed)}")


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The flags of this script, and those that are handed on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="the experiment")
    parser.add_argument("--workdir", required=True, type=Path, help="its folder, which all nodes see")
    parser.add_argument("--address", help="of the Ray cluster, such as auto; by default one is started on this machine")
    parser.add_argument("--cpus_per_job", type=float, default=1.0)
    parser.add_argument("--gpus_per_job", type=float, default=0.0)
    parser.add_argument("--attempts", type=int, default=3, help="how often a job may fail by itself")
    parser.add_argument("--restarts", type=int, default=100, help="how often it may lose its worker")
    return parser.parse_known_args()


def parse_line(line: str) -> Job:
    id, runs, depth, description = line.split("\t")
    return Job(id, int(runs), int(depth), description)


def finish(task: Any, command: list[str], jobs: list[Job], chances: dict[str, int], progress: Any) -> list[Job]:
    """Does jobs that do not wait for each other; returns those that failed.

    Args:
      task: runs a command somewhere.
      chances: how often a job may end in each of the ways of `how_it_ended`.
      progress: a tqdm bar.
    """
    import ray

    left = {job.id: dict(chances) for job in jobs}
    failed, running = [], {}

    def start(job: Job) -> None:
        running[task.remote([*command, f"--only={job.id}"], os.getcwd())] = job

    for job in jobs:
        start(job)
    while running:
        (reference,), _ = ray.wait(list(running), num_returns=1)
        job = running.pop(reference)
        how, told = how_it_ended(reference)
        progress.write(f"{job.id} {job.description}: {told}", file=sys.stderr)
        if how == "finished":
            progress.update()
            continue
        left[job.id][how] -= 1
        if left[job.id][how] > 0:
            start(job)
        else:
            failed.append(job)
    return failed


def how_it_ended(reference: Any) -> tuple[str, str]:
    """`finished`, `restart` (no fault of the job, which goes on from its last checkpoint), `failure` or `wrong input`;
    and the same for people."""
    import ray

    try:
        ended = ray.get(reference)
    except ray.exceptions.RayTaskError:  # this script's own function, such as a folder that a node does not see
        raise
    except ray.exceptions.RayError as error:
        return "restart", f"its worker died ({type(error).__name__})"
    if ended.status == 0:
        return "finished", "finished"
    if ended.status == RESTART:
        return "restart", "it was asked to leave"
    return "wrong input" if ended.status == WRONG_INPUT else "failure", f"status {ended.status}\n{ended.said}"


if __name__ == "__main__":
    main()
