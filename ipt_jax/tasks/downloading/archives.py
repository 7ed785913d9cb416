"""Unpacks a zip that somebody else made: nothing lands outside its folder, and no more than was expected."""

from __future__ import annotations

import fnmatch
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ipt_jax.errors import InputError

_MAX_MEMBERS = 10_000
_CHUNK_BYTES = 1 << 20


def extract(archive: Path, folder: Path, *, max_bytes: int, wanted: Sequence[str] = ("*",)) -> list[Path]:
    """Unpacks the regular files of a zip into a new folder, without the one folder that all of them may lie in.

    `release/train.json` and `release/db/a.sqlite` become `folder/train.json` and `folder/db/a.sqlite`. What macOS
    adds (`__MACOSX/…`, `.DS_Store`) is left out. All names are checked before the first byte is written.

    Args:
      folder: must not exist; it is removed again where the archive is refused.
      max_bytes: what all files may have together, unpacked.
      wanted: patterns (`fnmatch`) of the paths in `folder` to unpack; the others are checked and left out.

    Returns:
      The files, in the order of the archive.

    Raises:
      InputError: not a complete zip; a member that is absolute, leads outside, is a link or a device, stands there
        twice, is encrypted, or is more than is allowed.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            checked = _checked(archive, opened.infolist(), max_bytes)
            members = {path: info for path, info in checked.items() if any(fnmatch.fnmatch(path, w) for w in wanted)}
            paths = [folder / path for path in members]
            room = max_bytes
            for path, info in zip(paths, members.values(), strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                room -= _write(opened, info, path, room)
        return paths
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        shutil.rmtree(folder)
        raise InputError(f"{archive}: not a complete zip archive ({error}); fetch it again") from error
    except BaseException:
        shutil.rmtree(folder)
        raise


def _checked(archive: Path, infos: list[zipfile.ZipInfo], max_bytes: int) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Where each regular file goes; raises where one of them is not to be trusted."""

    def refuse(reason: str) -> InputError:
        return InputError(f"{archive}: refused: {reason}; this is not the archive that the authors released")

    if len(infos) > _MAX_MEMBERS:
        raise refuse(f"it has {len(infos):,} members, more than {_MAX_MEMBERS:,}")
    if (size := sum(info.file_size for info in infos)) > max_bytes:
        raise refuse(f"it unpacks to {size:,} bytes, more than {max_bytes:,}")
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        # `filename` is already cut at a NUL and has the system's separators turned; `orig_filename` is what is written.
        name, path = info.orig_filename, PurePosixPath(info.orig_filename)
        if path.is_absolute() or ".." in path.parts or any(mark in name for mark in ("\\", ":", "\0")):
            raise refuse(f"member {name!r} would be written outside its folder")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refuse(f"member {name!r} is a link or a special file")
        if info.is_dir() or "__MACOSX" in path.parts or path.name == ".DS_Store":
            continue
        if kind == stat.S_IFDIR or not path.parts:
            raise refuse(f"member {name!r} is no file")
        if info.flag_bits & 1:
            raise refuse(f"member {name!r} is encrypted")
        if path in members:
            raise refuse(f"member {name!r} is there twice")
        members[path] = info
    for path in members:
        if any(parent in members for parent in path.parents):
            raise refuse(f"member {str(path)!r} lies in another file")
    tops = {path.parts[0] for path in members}
    if len(tops) == 1 and all(len(path.parts) > 1 for path in members):
        return {PurePosixPath(*path.parts[1:]): info for path, info in members.items()}
    return members


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, room: int) -> int:
    """Copies a member, and never more than there is room for, whatever its header said."""
    size = 0
    with opened.open(info) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > room:
                raise InputError(f"{opened.filename}: refused: member {info.filename!r} is longer than it says")
            target.write(chunk)
    return size
