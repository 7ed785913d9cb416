"""Says beforehand what is about to be compiled and about how long it takes: a silent half minute looks like a hang."""

from __future__ import annotations

import logging
from collections.abc import Hashable

_log = logging.getLogger(__name__)
_said: set[Hashable] = set()


def expect(what: str, seconds: float, key: Hashable) -> None:
    """Tells, once in a process for each key, that `what` is compiled next.

    Args:
      what: such as `the training step`.
      seconds: what it took on two cores of the README's machine. Where the cache on disk has it, it takes less.
      key: what the program is made for.
    """
    if key not in _said:
        _said.add(key)
        _log.info("compiling %s: about %.0f s, less where the cache has it", what, max(seconds, 1.0))
