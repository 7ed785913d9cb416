"""Parts by name: those of the package, one's own as `module:object`, or what an installed package registers."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ipt_jax.errors import InputError

Part = TypeVar("Part")
TASKS, METRICS, RETRIEVERS = "ipt_jax.tasks", "ipt_jax.metrics", "ipt_jax.retrievers"
INITIALISERS, JOURNALS = "ipt_jax.initialisers", "ipt_jax.journals"


def named(name: str, known: Mapping[str, Part], group: str, place: str) -> Part:
    """The part of that name.

    Args:
      known: those of the package; they come first.
      group: of the entry points that installed packages register theirs in.
      place: what the message of an error begins with.

    Raises:
      InputError: there is none, or it cannot be imported.
    """
    if name in known:
        return known[name]
    found = {entry.name: entry for entry in importlib.metadata.entry_points(group=group)}
    if name not in found and ":" not in name:
        near = difflib.get_close_matches(name, [*known, *found], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        there = ", ".join(sorted([*known, *found]))
        raise InputError(f"{place}={name!r} is unknown; {hint}there are {there}, or your own as module:object")
    _look_here()
    try:
        return found[name].load() if name in found else pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{place}={name!r} cannot be imported: {error}; its module must lie in the current folder, on PYTHONPATH "
            "or in an installed package"
        ) from error


def _look_here() -> None:
    """A module in the current folder is found by an installed command, too, behind all others."""
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
        importlib.invalidate_caches()


def code_hash(name: str, known: Mapping[str, Any], group: str) -> str:
    """What the code of a part of one's own is: a hash of the file that defines it; empty for parts of the package.

    What that file imports is not looked at.

    Raises:
      InputError: as `named`.
    """
    return "" if name in known else hash_of(named(name, known, group, group))


def hash_of(part: Any) -> str:
    """The same for an object at hand, such as a task: a class, a function, or an instance of a class."""
    kind = part if inspect.isclass(part) or inspect.isfunction(part) else type(part)
    module = inspect.getmodule(kind)
    if module is None or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return ""
    file = inspect.getsourcefile(module)
    if file is None:
        raise InputError(f"the code of {kind!r} lies in no file of Python; write it into a module")
    return _hash_of_file(Path(file))


@functools.cache
def _hash_of_file(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
