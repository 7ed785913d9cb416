"""Reads released files as they are on disk: streams JSON lists and JSON Lines, plain or gzipped, and hashes them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ipt_jax.errors import InputError
from ipt_jax.workdir import json_text

_CHUNK = 1 << 20  # bytes, or characters of text
_NOT_SPACE = re.compile(r"\S")
_DAMAGED = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error)
_BOM = b"\xef\xbb\xbf"  # what some editors put before a text; no part of it


def _open(path: Path) -> BinaryIO:
    """The decompressed bytes of a `.gz` file, or the bytes of any other."""
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def find_file(folder: Path, name: str) -> Path | None:
    """`folder/name`, else `folder/name.gz`, else None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def content_sha256(path: Path) -> str:
    """The sha256 (hex) of a file's decompressed bytes, so `x.json` and `x.json.gz` of one text are equal."""
    digest = hashlib.sha256()
    try:
        with _open(path) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except _DAMAGED as error:
        raise InputError(f"{path}: the file is damaged or incomplete ({error}); fetch it again") from error
    return digest.hexdigest()


def read_json_list(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Streams a file that holds one JSON list of objects.

    Memory holds about a chunk of the file and one record, however long the list is.

    Args:
      path: a UTF-8 file, plain or gzipped (`.gz`).

    Yields:
      The line (from 1) on which a record starts, and the record.

    Raises:
      InputError: with the file, the record (from 0) and the line, where the text is not such a list.
    """
    text = _Window(path)
    if text.next_character() != "[":
        raise text.error("the file should be a JSON list and start with '['")
    text.position += 1
    text.record = 0
    if text.next_character() == "]":
        return
    while True:
        if text.next_character() != "{":
            raise text.error("each entry of the list should be a JSON object '{…}'")
        line = text.line()
        yield line, text.next_object()
        text.record += 1
        separator = text.next_character()
        if separator not in (",", "]"):
            raise text.error("expected ',' or ']' after an entry")
        text.position += 1
        if separator == "]":
            break
    if text.next_character():
        raise text.error("there is more text after the list's closing ']'")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Streams the lines of a UTF-8 text, plain or gzipped, without their ends; only `\\n` and `\\r\\n` end a line.

    A byte order mark before the first line is no part of it.

    Yields:
      The line's number (from 1) and its text.

    Raises:
      InputError: with file and line, where the text is damaged or not UTF-8.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                line = line.removeprefix(_BOM) if number == 1 else line
                yield number, line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: not UTF-8 text ({error.reason}); save the file as UTF-8") from error
    except _DAMAGED as error:
        raise InputError(f"{path}:{number + 1}: the file is damaged or incomplete ({error}); fetch it again") from error


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Streams a file that holds a JSON object on each line; empty lines are passed over.

    Args:
      path: a UTF-8 file, plain or gzipped (`.gz`).

    Yields:
      The line (from 1) of a record, and the record.

    Raises:
      InputError: with file and line, where a line is not a JSON object.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = json_text.parse(line)
            json_text.check_characters(line, record)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}") from error
        if not isinstance(record, dict):
            raise InputError(f"{path}:{number}: each line should be a JSON object '{{…}}'")
        yield number, record


class _Window:
    """A moving piece of a text file, with a position in it that knows its line."""

    def __init__(self, path: Path):
        self.path = path
        self.record: int | None = None
        self.position = 0
        self._buffer = ""
        self._counted = 0  # Line breaks before this position are in _line; each is counted once.
        self._line = 1
        self._chunks = self._decoded_chunks()

    def _decoded_chunks(self) -> Iterator[str]:
        try:
            with _open(self.path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                while chunk := text.read(_CHUNK):
                    yield chunk
        except UnicodeDecodeError as error:
            raise self.error(f"the file is not UTF-8 text ({error.reason}) from about here on") from error
        except _DAMAGED as error:
            raise self.error(f"the file is damaged or incomplete ({error}); fetch it again") from error

    def _grow(self, at_least: int = 1) -> bool:
        """Appends at least so many characters, dropping what lies behind the position; False at the file's end."""
        self.line()
        pieces = [self._buffer[self.position :]]
        grown = 0
        while grown < at_least and (chunk := next(self._chunks, None)) is not None:
            pieces.append(chunk)
            grown += len(chunk)
        self._buffer, self.position, self._counted = "".join(pieces), 0, 0
        return grown > 0

    def line(self) -> int:
        """The line (from 1) of the position."""
        self._line += self._buffer.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def error(self, reason: str) -> InputError:
        place = "" if self.record is None else f"record {self.record}: "
        return InputError(f"{self.path}:{self.line()}: {place}{reason}")

    def next_character(self) -> str:
        """Moves over white space; returns the character there, or '' at the end of the file."""
        while True:
            if match := _NOT_SPACE.search(self._buffer, self.position):
                self.position = match.start()
                return match.group()
            self.position = len(self._buffer)
            if not self._grow():
                return ""

    def next_object(self) -> dict[str, Any]:
        """Parses the object that starts at the position and moves behind it."""
        while True:
            try:
                value, end = json_text.DECODER.raw_decode(self._buffer, self.position)
                json_text.check_characters(self._buffer[self.position : end], value)
            except json.JSONDecodeError as error:
                place = error.pos - self.position
                # The object may only be cut by the window: double it, so that the work stays linear.
                if self._grow(at_least=len(self._buffer)):
                    continue
                self.position += place
                raise self.error(f"not valid JSON: {error.msg}") from error
            except RecursionError as error:
                raise self.error(json_text.TOO_DEEP) from error
            except ValueError as error:
                raise self.error(str(error)) from error
            self.position = end
            return value
