"""What the commands say while they work: this package's own messages, and how far the work is.

Everything goes through `logging`. On a terminal progress is a bar, and messages are written above it; in a file, or
with --log_format=json, it is a message a minute, with what is left.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from types import TracebackType
from typing import Any

from ipt_jax import cli

_EVERY_SECONDS = 60.0
_log = logging.getLogger(__name__)


class _AboveBars(logging.Handler):
    """Writes a message without tearing a progress bar apart; `speaker` stands before it."""

    def __init__(self, speaker: str = ""):
        super().__init__()
        self._speaker = speaker

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        tqdm.write(self._speaker + level + record.getMessage(), file=sys.stderr)


class _AsJson(logging.Handler):
    """Writes a message as a line of JSON: time in seconds since 1970, level, logger, message, and the speaker."""

    def __init__(self, speaker: str = ""):
        super().__init__()
        self._speaker = {"process": speaker} if speaker else {}

    def emit(self, record: logging.LogRecord) -> None:
        told = {"time": round(record.created, 3), "level": record.levelname.lower(), "logger": record.name}
        print(json.dumps({**told, **self._speaker, "message": record.getMessage()}), file=sys.stderr, flush=True)


class Progress:
    """How far a piece of work is: a bar on a terminal, else a message now and then; a context manager.

    The arguments are those of tqdm's bars; `disable` says nothing at all.
    """

    def __init__(
        self,
        desc: str,
        *,
        total: int | None,
        initial: int = 0,
        unit: str,
        disable: bool = False,
        unit_scale: bool = False,
    ):
        self._bar, self._total, self._done, self._title, self._unit = None, total, initial, desc, unit
        self._silent, self._begun, self._before = disable, time.monotonic(), initial
        self._told = self._begun
        if not disable and shows_bars():
            from tqdm import tqdm

            self._bar = tqdm(desc=desc, total=total, initial=initial, unit=unit, unit_scale=unit_scale)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int = 1) -> None:
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self._silent and time.monotonic() - self._told >= _EVERY_SECONDS:
            self._told = time.monotonic()
            _log.info("%s: %s", self._title, self._far())

    def say(self, text: str) -> None:
        """What stands behind the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def _far(self) -> str:
        of, left = "", ""
        if self._total:
            of = f" of {self._total:,}"
            fresh = self._done - self._before
            if fresh:
                left = f", {_duration((self._told - self._begun) / fresh * (self._total - self._done))} left"
        return f"{self._done:,}{of} {self._unit}s{left}"


def _duration(seconds: float) -> str:
    """
    >>> _duration(7400.0), _duration(95.0), _duration(8.2)
    ('2 h 3 min', '1 min 35 s', '8 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shows_bars() -> bool:
    """Whether progress is drawn: on a terminal alone, and neither with --quiet nor as JSON."""
    return sys.stderr.isatty() and not cli.SAID.quiet and cli.SAID.format == "text"


def show_progress() -> None:
    """Shows the package's messages from INFO on, or with --quiet warnings; other packages keep to their warnings."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_logger().addFilter(_not_of_orbax)  # once, however often it is called
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the tasks of Orbax's threads, for the same reason
    sys.unraisablehook = _unraisable
    _show(logging.WARNING if cli.SAID.quiet else logging.INFO)


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Orbax tells of every file it writes, and of each failure with the tracebacks of its threads before it raises it;
    `checkpoints` says in one line what came of it."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _unraisable(found: Any) -> None:
    """Says what Python cannot raise, but for what tensorstore leaves behind where a disk refuses it a file."""
    if not (isinstance(found.exc_value, RuntimeError) and str(found.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(found)


def show_warnings_of(process: str) -> None:
    """Shows the package's warnings alone, with the name of this process: the first one of several tells the rest."""
    _show(logging.WARNING, process)


def _show(level: int, speaker: str = "") -> None:
    logger = logging.getLogger("ipt_jax")
    logger.setLevel(level)
    logger.propagate = False
    json_wanted = cli.SAID.format == "json"
    logger.handlers = [_AsJson(speaker) if json_wanted else _AboveBars(f"{speaker}: " if speaker else "")]
