"""Files that one program has for itself, whatever ends it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from ipt_jax.errors import InputError
from ipt_jax.workdir.disk import writing


def try_lock(paths: Iterable[str | os.PathLike]) -> contextlib.ExitStack | None:
    """Holds all of the files for this program alone (flock), or none of them: None where another program has one.

    They are created when missing, and their content does not matter. Whoever holds them closes what is returned; the
    end of the program, however it comes, does so too.
    """
    with contextlib.ExitStack() as held:
        for path in paths:
            with writing(path):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError as error:
                raise InputError(
                    f"{path} cannot be locked ({error}); put the working directory on a file system with locks, such "
                    "as a local disk, NFS 4, or Lustre mounted with -o flock"
                ) from error
        return held.pop_all()
