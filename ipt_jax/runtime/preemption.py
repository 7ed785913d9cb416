"""SIGTERM, by which schedulers announce that a machine is taken away, and Ctrl-C: save what there is and exit."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

from ipt_jax.runtime import processes

# sysexits.h: "temporary failure, the user is invited to retry". Not 0 (done), 1 (a defect) or 2 (a wrong input), so a
# scheduler can be told to restart this status and no other: systemd's RestartForceExitStatus=75, LSF's
# REQUEUE_EXIT_VALUES=75, an onExitCodes rule of a Kubernetes podFailurePolicy, `[ $? = 75 ] && scontrol requeue …`.
EX_TEMPFAIL = 75
INTERRUPTED = 128 + signal.SIGINT  # what shells expect of a program that Ctrl-C ended
_STATUS = {signal.SIGTERM: EX_TEMPFAIL, signal.SIGINT: INTERRUPTED}
_NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
_log = logging.getLogger(__name__)


class Preempted(SystemExit):
    """Ends the process: 75 after SIGTERM, 130 after Ctrl-C. What was finished is on disk; the same command goes on."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(_STATUS[number])


def name(number: int) -> str:
    """What a person calls the signal."""
    return _NAMES[number]


@contextlib.contextmanager
def restartable() -> Iterator[None]:
    """SIGTERM or Ctrl-C raises `Preempted` wherever the program is; whatever it writes survives being cut off anywhere.

    Several processes must not leave alone, or the others would wait for them: they do so at `check` and `deferred`.
    """

    def leave(number: int) -> NoReturn:
        _log.warning("%s: what is finished is saved, the same command goes on from there", name(number))
        raise Preempted(number)

    with contextlib.nullcontext() if processes.several() else _handler(leave):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], int]]:
    """Inside, the signal is only noted, and what is yielded says which one came, or 0: the caller saves, then leaves.

    A second Ctrl-C ends the process at once. Of several processes all must ask equally often; the answer is the same on
    all of them.
    """
    if processes.several():
        yield lambda: signal.SIGTERM if processes.preempted() else 0
        return
    came: list[int] = []

    def note(number: int) -> None:
        came.append(number)
        if number == signal.SIGINT:
            _log.warning("Ctrl-C: the running step is finished and saved; Ctrl-C again ends at once, without it")

    with _handler(note):
        yield lambda: came[0] if came else 0


def check() -> None:
    """Between two pieces of work: raises `Preempted` where SIGTERM came to one of several processes, on all of them."""
    if processes.preempted():
        _log.warning("SIGTERM: what is finished is saved, the same command goes on from there")
        raise Preempted


@contextlib.contextmanager
def _handler(handle: Callable[[int], object]) -> Iterator[None]:
    """Handles the first signal; of Ctrl-C a second one has its own, immediate effect."""
    if threading.current_thread() is not threading.main_thread():  # only there may Python receive signals
        yield
        return

    def once(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        handle(number)

    before = {number: signal.signal(number, once) for number in _STATUS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
