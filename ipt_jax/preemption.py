"""SIGTERM, by which schedulers announce that a machine is taken away: save what there is and exit to be restarted."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from ipt_jax import processes

# sysexits.h: "temporary failure, the user is invited to retry". Not 0 (done), 1 (a defect) or 2 (a wrong input), so a
# scheduler can be told to restart this status and no other: systemd's RestartForceExitStatus=75, LSF's
# REQUEUE_EXIT_VALUES=75, an onExitCodes rule of a Kubernetes podFailurePolicy, `[ $? = 75 ] && scontrol requeue …`.
EX_TEMPFAIL = 75
_log = logging.getLogger(__name__)


class Preempted(SystemExit):
    """Ends the process with status 75. All that was finished is on disk; the same command goes on from there."""

    def __init__(self) -> None:
        super().__init__(EX_TEMPFAIL)


@contextlib.contextmanager
def restartable() -> Iterator[None]:
    """SIGTERM raises `Preempted` wherever the program is; whatever it writes survives being cut off anywhere.

    Several processes must not leave alone, or the others would wait for them: they do so at `check` and `deferred`.
    """

    def leave(*_) -> NoReturn:
        raise Preempted

    with contextlib.nullcontext() if processes.several() else _handler(leave):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Inside, SIGTERM is only noted, and what is yielded says whether it came: the caller saves, then leaves.

    Of several processes all must ask equally often; the answer is the same on all of them.
    """
    if processes.several():
        yield processes.preempted
        return
    came = threading.Event()
    with _handler(lambda *_: came.set()):
        yield came.is_set


def check() -> None:
    """Between two pieces of work: raises `Preempted` where SIGTERM came to one of several processes, on all of them."""
    if processes.preempted():
        _log.warning("SIGTERM: what is finished is saved, the same command goes on from there")
        raise Preempted


@contextlib.contextmanager
def _handler(handle: Callable[..., object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may Python receive signals
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
