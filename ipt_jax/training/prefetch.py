"""Prepares the batch of the next step in a thread, and measures for how long the device has to wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Prefetch:
    """Gives the batches of steps `first`, `first + 1`, …, `last - 1`, always one ahead.

    The device may still be busy with step s while the host waits for the batch of s + 1; only the time in which it
    has nothing left to do is counted as waiting.

    Attributes:
      waited: seconds, so far.
    """

    def __init__(self, make: Callable[[int], Any], first: int, last: int):
        self.waited = 0.0
        self._make, self._next, self._last = make, first, last
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._future: Future | None = None
        self._submit()

    def get(self, device_is_idle: Callable[[], bool]) -> Any:
        """The next batch; what its making raised is raised here.

        Args:
          device_is_idle: whether the device has finished all it was given.
        """
        started = time.monotonic()
        batch = self._future.result()
        if device_is_idle():  # from when on is not known: the whole time is an upper bound
            self.waited += time.monotonic() - started
        self._submit()
        return batch

    def _submit(self) -> None:
        self._future = self._pool.submit(self._make, self._next) if self._next < self._last else None
        self._next += 1

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
