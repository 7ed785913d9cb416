"""What the disk refuses as an error of one line, and what lies in the way removed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ipt_jax.errors import InputError

OF_A_CACHE = "free some space, make the place writable, or choose another with config.execution.cache_dir"


@contextlib.contextmanager
def writing(
    path: str | os.PathLike, fix: str = "free some space, make the place writable, or choose another"
) -> Iterator[None]:
    """An OSError inside becomes an InputError that names the file or folder, the reason and the fix."""
    try:
        yield
    except OSError as error:
        place = str(error.filename or path)
        raise InputError(f"{place}: cannot be written ({error.strerror or error}); {fix}") from error


def make_folder(path: str | os.PathLike) -> Path:
    """Makes a folder and those that it lies in, where they are missing. Raises InputError where that is refused."""
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def remove(path: str | os.PathLike) -> None:
    """Removes whatever has this name, a folder with all that is in it; nothing where there is nothing."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
