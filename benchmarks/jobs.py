"""Populations as jobs on groups of devices, simulated: which group does what when, and when the last job ends."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Job:
    """A population that runs on a group of devices of its own.

    Attributes:
      name: unique.
      seconds: on one group.
      after: names of the jobs whose prompts it takes.
    """

    name: str
    seconds: float
    after: frozenset[str] = frozenset()


def finish(jobs: Sequence[Job], groups: int) -> float:
    """Seconds until all jobs are done, where each group that is free takes the longest job that may start.

    Worked example: of jobs of 3, 2 and 2 seconds two groups do the first one, and the others one after the other: 4.
    """
    waiting = sorted(jobs, key=lambda job: -job.seconds)
    ends: dict[str, float] = {}
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        ready = [job for job in waiting if all(ends.get(name, now + 1) <= now for name in job.after)]
        for job in ready[: groups - len(running)]:
            waiting.remove(job)
            heapq.heappush(running, (now + job.seconds, job.name))
        if not running:
            raise ValueError(f"jobs wait for one another or for unknown ones: {[job.name for job in waiting]}")
        now, name = heapq.heappop(running)
        ends[name] = now
    return now
