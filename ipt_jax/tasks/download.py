"""Fetches the official files of a task: `python -m ipt_jax.tasks.download dart --output_dir=data/dart`.

A file counts as fetched when it is checked, and only then gets its name. Two kinds of check:

- by sha256, where a checksum of the official bytes is known to us: DART's dev file (we hashed it ourselves) and the
  archives of ToTTo and Spider (as the `datasets` library recorded them for the official addresses; Spider's dev.json
  and tables.json, which we hashed ourselves, agree with an inventory of the same archive);
- by content, for everything, and alone for DART's train and test files, Logic2Text and MTOP, whose official bytes we
  could not hash: what arrives must parse completely and have the published numbers of examples. That finds a damaged,
  incomplete or other file, but not one in which somebody changed a word.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from absl import flags

from ipt_jax import cli
from ipt_jax.errors import InputError
from ipt_jax.tasks import dart, get_task, logic2text, mtop, spider, totto
from ipt_jax.tasks.downloading.archives import extract
from ipt_jax.tasks.downloading.fetch import fetch
from ipt_jax.tasks.reading import content_sha256, find_file

MAX_DOWNLOAD_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 4 << 30

COMMAND_FLAGS = flags.FlagValues()
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "the folder for the files", flag_values=COMMAND_FLAGS)
_BASE_URL = flags.DEFINE_string(
    "base_url", None, "a mirror: where the files lie under their official names", flag_values=COMMAND_FLAGS
)


@dataclasses.dataclass(frozen=True)
class Release:
    """What a task's authors released.

    Attributes:
      urls: file → its official address; "" where a program cannot fetch it.
      counts: split → its number of examples, or the numbers that occur.
      files: split → its file among `urls`; empty where the one file is a zip.
      unpack: of a zip, patterns of the files to unpack.
      sha256: file → checksum, of those that are known.
      by_hand: what to do where there is no address.
    """

    urls: Mapping[str, str]
    counts: Mapping[str, int | tuple[int, ...]]
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unpack: tuple[str, ...] = ("*",)
    sha256: Mapping[str, str] = dataclasses.field(default_factory=dict)
    by_hand: str = ""


def _beside(base_url: str, names: Mapping[str, str]) -> dict[str, str]:
    return {name: base_url + name for name in names.values()}


RELEASES = {
    "dart": Release(
        urls=_beside("https://raw.githubusercontent.com/Yale-LILY/dart/master/data/v1.1.1/", dart.FILE_NAMES),
        files=dart.FILE_NAMES,
        counts={"train": 62_659, "dev": 2_768, "test": 5_097},
        sha256={"dart-v1.1.1-full-dev.json": "56606eac12baa7f0ddb81c61890f9f1a95bace4df8f8989852786358fe5d2b88"},
    ),
    "logic2text": Release(
        urls=_beside("https://raw.githubusercontent.com/czyssrs/Logic2Text/master/dataset/", logic2text.FILE_NAMES),
        files=logic2text.FILE_NAMES,
        counts=logic2text.RELEASE_COUNTS,
    ),
    "mtop": Release(
        urls={"mtop.zip": "https://fb.me/mtop_dataset"},
        unpack=("en/*.txt",),
        counts=mtop.RELEASE_COUNTS,
    ),
    "spider": Release(
        urls={"spider.zip": ""},
        unpack=("*.json", "database/*", "README*"),
        counts=spider.RELEASE_COUNTS,
        sha256={"spider.zip": "5ddff97bb1d421282c593e8d30ce0ce107270f4dd4a21d60eba4bf287d5956b1"},
        by_hand="Spider is distributed through Google Drive, which asks people and not programs: fetch spider.zip with "
        "a browser by the link 'Spider Dataset' at https://yale-lily.github.io/spider, put it into {folder} and start "
        "this command again, which checks and unpacks it; or name a mirror that has spider.zip with --base_url",
    ),
    "totto": Release(
        urls={"totto_data.zip": "https://storage.googleapis.com/totto-public/totto_data.zip"},
        unpack=("*.jsonl",),
        counts=totto.RELEASE_COUNTS,
        sha256={"totto_data.zip": "0aab72597057394514fd9659745fd2b318d1a64bf0b2ca1b2c339abe0692fdf2"},
    ),
}


def download(name: str, folder: Path, base_url: str | None = None, *, timeout: float = 60.0) -> list[Path]:
    """Fetches what is missing of a task's release and checks every file, those that are there already too.

    Args:
      folder: created if needed. What is not complete or not checked is in its `.partial`, from where the next call
        goes on.
      base_url: a mirror, for which the same checks hold.
      timeout: seconds without a byte after which a connection counts as broken.

    Returns:
      The files that the task reads.

    Raises:
      InputError: a file is not on the server, the connection stays broken, a zip is hostile, or a check fails.
    """
    release, partial = RELEASES[name], folder / ".partial"
    partial.mkdir(parents=True, exist_ok=True)
    if release.files:
        for split, file in release.files.items():
            _fetch_file(name, release, split, file, folder, base_url, timeout)
    else:
        _fetch_archive(name, release, folder, base_url, timeout)
    shutil.rmtree(partial)
    task = get_task(name, folder)
    return [path for split in release.counts for path in task.files(split)]


def _fetch_file(
    name: str, release: Release, split: str, file: str, folder: Path, base_url: str | None, timeout: float
) -> None:
    if path := find_file(folder, file):
        _check_sha256(release, file, path)
        _check_content(name, release, split, folder)
        return
    staged = folder / ".partial" / file
    fetch(_url(release, file, folder, base_url), _part(staged), timeout=timeout, max_bytes=MAX_DOWNLOAD_BYTES)
    os.replace(_part(staged), staged)
    try:
        _check_sha256(release, file, staged)
        _check_content(name, release, split, staged.parent)
    except InputError:
        staged.unlink()  # Going on from wrong bytes would never become right: the next call starts anew.
        raise
    os.replace(staged, folder / file)


def _fetch_archive(name: str, release: Release, folder: Path, base_url: str | None, timeout: float) -> None:
    (file,) = release.urls
    archive, unpacked = folder / file, folder / ".partial" / "unpacked"
    if not archive.exists() and _is_complete(name, release, folder):
        for split in release.counts:
            _check_content(name, release, split, folder)
        return
    own = not archive.exists()  # An archive that the user put there is not ours to remove.
    if own:
        archive = folder / ".partial" / file
        fetch(_url(release, file, folder, base_url), _part(archive), timeout=timeout, max_bytes=MAX_DOWNLOAD_BYTES)
        os.replace(_part(archive), archive)
    shutil.rmtree(unpacked, ignore_errors=True)  # Of a call that was killed.
    try:
        _check_sha256(release, file, archive)
        paths = extract(archive, unpacked, max_bytes=MAX_UNPACKED_BYTES, wanted=release.unpack)
        for split in release.counts:
            _check_content(name, release, split, unpacked)
    except InputError:
        if own:
            archive.unlink()
        shutil.rmtree(unpacked, ignore_errors=True)
        raise
    for path in paths:
        place = folder / path.relative_to(unpacked)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _url(release: Release, file: str, folder: Path, base_url: str | None) -> str:
    if base_url:
        return f"{base_url.rstrip('/')}/{file}"
    if not release.urls[file]:
        raise InputError(release.by_hand.format(folder=folder))
    return release.urls[file]


def _is_complete(name: str, release: Release, folder: Path) -> bool:
    try:
        return all(get_task(name, folder).files(split) for split in release.counts)
    except InputError:
        return False


def _check_sha256(release: Release, file: str, path: Path) -> None:
    known = release.sha256.get(file)
    if known and (found := content_sha256(path)) != known:
        raise InputError(f"{path}: its sha256 is {found}, the official file's is {known}; delete it and fetch it again")


def _check_content(name: str, release: Release, split: str, folder: Path) -> None:
    """The split parses from its first to its last byte, and has as many examples as it should."""
    task, expected = get_task(name, folder), release.counts[split]
    count = sum(1 for _ in task.read(split))
    expected = expected if isinstance(expected, tuple) else (expected,)
    if count not in expected:
        numbers = " or ".join(f"{number:,}" for number in expected)
        files = ", ".join(str(path) for path in task.files(split))
        raise InputError(
            f"{files}: {count:,} examples, {task.title}'s {split} split has {numbers}; delete it and fetch it again"
        )


def main(argv: list[str]) -> None:
    names = argv[1:]
    if len(names) != 1 or names[0] not in RELEASES:
        near = difflib.get_close_matches(names[0], RELEASES) if names else []
        hint = f"did you mean {near[0]!r}?" if near else f"this command knows {', '.join(RELEASES)}"
        raise InputError(f"download what? got {' '.join(names) or 'nothing'!r}; {hint}")
    for path in download(names[0], Path(_OUTPUT_DIR.value), _BASE_URL.value):
        print(path)


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, required=("output_dir",), positional=True)
