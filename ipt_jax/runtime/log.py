"""What the commands say while they work: this package's own messages, above the progress bars."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from absl import logging as absl_logging
from tqdm import tqdm


class _AboveBars(logging.Handler):
    """Writes a message without tearing a progress bar apart; `speaker` stands before it."""

    def __init__(self, speaker: str = ""):
        super().__init__()
        self._speaker = speaker

    def emit(self, record: logging.LogRecord) -> None:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        tqdm.write(self._speaker + level + record.getMessage(), file=sys.stderr)


def show_progress() -> None:
    """Shows the package's messages from INFO on; other packages keep to their warnings."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_logger().addFilter(_not_of_orbax)  # once, however often it is called
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the tasks of Orbax's threads, for the same reason
    sys.unraisablehook = _unraisable
    _show(logging.INFO, _AboveBars())


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
    _show(logging.WARNING, _AboveBars(f"{process}: "))


def _show(level: int, handler: logging.Handler) -> None:
    logger = logging.getLogger("ipt_jax")
    logger.setLevel(level)
    logger.propagate = False
    logger.handlers = [handler]
