"""JSON and JSON Lines files that a kill, a full disk or a second writer does not damage.

A JSON file is replaced as a whole; a JSON Lines file only grows, by whole rows. So a reader finds the old
or the new file, and after `kill -9` at most the last row is torn, which the next append removes.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.workdir.json_text import dumps, parse_object


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces a text file as a whole: whoever reads it finds the old or the new content, never a part.

    Raises:
      InputError: the disk refused it; the old file is as it was.
    """
    _write_bytes(Path(path), text.encode("utf-8", "replace"))


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """The same, of a file that is no text."""
    _write_bytes(Path(path), content)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replaces a JSON file as a whole. NaN and infinity are refused (ValueError): they are not JSON.

    Raises:
      InputError: the disk refused it; the old file is as it was.
    """
    _write_bytes(Path(path), dumps(value, indent=2) + b"\n")


def create_json(path: str | os.PathLike, value: Any) -> bool:
    """Writes a JSON file unless there is one; returns whether it did. Of several writers at once one does.

    Raises:
      InputError: the disk refused it.
    """
    return _write_bytes(Path(path), dumps(value, indent=2) + b"\n", replace=False)


def write_rows(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replaces a JSON Lines file as a whole; for the rare case that rows must go, since `append_rows` only adds.

    Raises:
      InputError: the disk refused it; the old file is as it was.
    """
    _write_bytes(Path(path), b"".join(dumps(row) + b"\n" for row in rows))


def read_json(path: str | os.PathLike, needs: Mapping[str, type] = {}) -> dict[str, Any]:  # noqa: B006
    """Reads one JSON object.

    Args:
      needs: keys that it must have, with the types of their values.

    Raises:
      InputError: the file cannot be read, or is not such an object.
      FileNotFoundError: there is no such file.
    """
    try:
        return _with_keys(parse_object(_read_bytes(Path(path))), needs)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a JSON object ({error}); restore the file or delete it.") from error


def append_rows(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]], *, unique_key: str | None = None) -> int:
    """Appends rows to a JSON Lines file: all of them, flushed to the disk, or none.

    Several processes may append to one file: each call holds an exclusive lock. A torn last line that a
    killed writer left is removed first.

    Args:
      path: the file; created when missing, in a folder that exists.
      rows: JSON objects; NumPy and JAX values count as numbers and lists.
      unique_key: leave out the rows whose value under this key the file already holds. This is decided
        under the lock, so that two processes cannot both append the same row.

    Returns:
      The number of rows appended.

    Raises:
      InputError: the disk is full or a limit is reached. The file has its former rows and no part of these.
      ValueError: a value is NaN or infinite; nothing was written.
    """
    rows = list(rows)
    path = Path(path)
    with _locked(path) as descriptor:
        content = _content(descriptor) if unique_key else b""
        if unique_key:
            held = {row.get(unique_key) for row in _parse_rows(path, content)}
            rows = [row for row in rows if row.get(unique_key) not in held]
        data = b"".join(dumps(row) + b"\n" for row in rows)
        if data:
            _append(descriptor, path, data)
    return len(rows)


def read_rows(path: str | os.PathLike, needs: Mapping[str, type] = {}) -> list[dict[str, Any]]:  # noqa: B006
    """Reads a JSON Lines file; a missing file has no rows.

    A torn last line (a writer was killed in the middle of it) is dropped with a warning.

    Args:
      needs: keys that every row must have, with the types of their values.

    Raises:
      InputError: the file cannot be read, or another line is not such an object; the message names file and line.
    """
    path = Path(path)
    try:
        content = _read_bytes(path)
    except FileNotFoundError:
        return []
    return _parse_rows(path, content, needs)


def repair(path: str | os.PathLike) -> int:
    """Removes the torn last line of a JSON Lines file; returns the number of bytes removed.

    A last line that only misses its line end is a whole row: it is kept and the line end is added.
    """
    with _locked(Path(path)) as descriptor:
        removed = _cut_torn_tail(descriptor, Path(path))
        if _content(descriptor, last=1) not in (b"", b"\n"):
            _append(descriptor, Path(path), b"")
    return removed


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _with_keys(row: dict[str, Any], needs: Mapping[str, type]) -> dict[str, Any]:
    for key, kind in needs.items():
        if not isinstance(row.get(key), kind):
            raise ValueError(f"{key!r} should be there with {_NAMES.get(kind, kind.__name__)}")
    return row


_NAMES = {str: "a text", int: "a whole number", list: "a list", dict: "an object"}


def _parse_rows(path: Path, content: bytes, needs: Mapping[str, type] = {}) -> list[dict[str, Any]]:  # noqa: B006
    # Only '\n' ends a row: str.splitlines would also split at U+2028, which JSON allows inside a string.
    *lines, tail = content.split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_with_keys(parse_object(line), needs))
        except ValueError as error:
            raise InputError(f"{path}:{number}: not a JSON object ({error}); correct or delete this line.") from error
    if tail:
        try:
            rows.append(_with_keys(parse_object(tail), needs))
        except ValueError:
            logging.warning("%s:%d: dropped a torn last line of %d bytes.", path, len(lines) + 1, len(tail))
    return rows


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Opens a file for appending, created when missing, and holds its exclusive lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:  # the folder does not exist: a defect of the caller, not of the disk
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written to ({error.strerror}); make the place writable") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path}: rows are kept in a file, which this is not; choose another")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _content(descriptor: int, last: int | None = None) -> bytes:
    """The bytes of an open file, or its `last` ones."""
    size = os.fstat(descriptor).st_size
    start = 0 if last is None else max(0, size - last)
    return os.pread(descriptor, size - start, start)


def _torn_tail(descriptor: int) -> bytes:
    """What follows the last line end, read backwards in growing steps: rows are short, files are long."""
    size, step = os.fstat(descriptor).st_size, 1 << 16
    while True:
        content = _content(descriptor, last=step)
        if b"\n" in content or step >= size:
            return content.rpartition(b"\n")[2]
        step *= 4


def _cut_torn_tail(descriptor: int, path: Path) -> int:
    tail = _torn_tail(descriptor)
    if not tail:
        return 0
    try:
        parse_object(tail)
        return 0
    except ValueError:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(tail))
        logging.warning("%s: removed a torn last line of %d bytes.", path, len(tail))
        return len(tail)


def _append(descriptor: int, path: Path, data: bytes) -> None:
    """One write of whole rows at the end of a locked file, undone when it does not succeed."""
    _cut_torn_tail(descriptor, path)
    length = os.fstat(descriptor).st_size
    if _content(descriptor, last=1) not in (b"", b"\n"):
        data = b"\n" + data
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were accepted")
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, length)
        raise _disk_error(path, len(data), error) from error


def _write_bytes(path: Path, data: bytes, replace: bool = True) -> bool:
    """The file appears whole or not at all; an older one is replaced or, if that is not wanted, stays (False).

    What is no file, such as a pipe or /dev/null, is never replaced: it is written to.
    """
    path = Path(os.path.realpath(path))  # of a link the file that it leads to
    if path.exists() and not path.is_file() and not path.is_dir():
        return _write_into(path, data)
    # The temporary file lies in the same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        elif not _move_to_free_name(temporary, path):
            return False
        _sync_folder(path.parent)
        return True
    except FileNotFoundError:  # the folder does not exist: a defect of the caller, not of the disk
        raise
    except OSError as error:
        with contextlib.suppress(OSError):  # a disk that refuses the file may refuse this, too
            temporary.unlink(missing_ok=True)
        raise _disk_error(path, len(data), error) from error


def _write_into(path: Path, data: bytes) -> bool:
    try:
        with open(path, "wb") as file:
            file.write(data)
        return True
    except OSError as error:
        raise _disk_error(path, len(data), error) from error


def _move_to_free_name(temporary: Path, path: Path) -> bool:
    """Renames a file unless there is one of that name (False); the temporary name is gone in either case."""
    try:
        os.link(temporary, path)  # unlike a rename it fails where there is a file
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # A file system without hard links (exFAT): between the look and the rename there is an instant for another
        # program, whose file would then be replaced by an equal one.
        if path.exists():
            return False
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _sync_folder(folder: Path) -> None:
    """Makes the new name of a file survive a power cut, as fsync of the file does for its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_error(path: Path, needed: int, error: OSError) -> InputError:
    full = error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # None: a short write, raised above
    fix = "Free some space or raise the file size limit" if full else "Make the place writable"
    return InputError(
        f"{path}: could not write {needed} bytes ({error}). What was written before is intact. "
        f"{fix}, then run the same command again."
    )
