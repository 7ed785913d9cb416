"""Changes of a file's content: of bytes, of JSON values, and inside safetensors, GGUF, NumPy, zip and gzip files.

A changed byte is mostly found by the first check that reads it, so half of the changes keep the file whole as far as
its format goes and change what it says: a type, a shape, an offset, a name, a count.
"""

import ast
import gzip
import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Values of JSON that nobody expects.
ODD = [None, True, False, 0, -1, 3.5, -0.0, 1e308, 10**30, 2**63, [], {}, [[]], [None], {"": None}, {"a": {"a": 1}}]
ODD += ["", " ", "x", "0", "nan", "\ud800", "\x00", "\x1b[2J", "=1+1", "../../etc/passwd", "a" * 5000, "é", "\u2028"]
_ODD_BYTES = (b"\x00", b"\xff", b"\n", b'"', b"{", b"]", b"\xef\xbb\xbf", b"9" * 5000)
_NO_JSON = ("NaN", "1e999", "[" * 20_000 + "]" * 20_000, "9" * 5000)  # but JSON to some readers
_NUMBERS = (0, 1, 2, 7, 31, 255, 2**16, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)
_DTYPES = ("F64", "F32", "F16", "BF16", "I8", "I64", "U8", "BOOL", "F8_E4M3", "F4", "f32", "")
_DESCRIPTIONS = ("<f8", "<f4", ">f4", "<f2", "|O", "<U3", "<M8[s]", "<c8", "|S0", "|V4", "x", "<f4,<f4", "")


def damage_a_file(rng: random.Random, folder: Path) -> str:
    """Changes one file of a folder, rarely so that it or its folder is something else; returns what was done."""
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    kind, name = rng.randrange(20), path.relative_to(folder)
    if kind == 0:
        path.unlink()
        return f"{name} removed"
    if kind == 1:
        path.unlink()
        path.mkdir()
        return f"{name} made a folder"
    if kind == 2 and path.parent != folder:
        shutil.rmtree(path.parent)
        path.parent.write_bytes(b"")
        return f"{name.parent} made a file"
    path.write_bytes(mutate(rng, path.read_bytes()))
    return f"{name} changed"


def mutate(rng: random.Random, content: bytes) -> bytes:
    """A few changes of bytes, or one of what a file of a known format says."""
    if rng.random() < 0.5:
        for change in (_other_gguf, _other_safetensors, _other_zip, _other_numpy, _other_gzip, other_json):
            changed = change(rng, content)
            if changed is not None:
                return changed
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 8, 64, len(data)))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = bytes(rng.randrange(256) for _ in range(min(length, 64)))
        elif kind == 3:
            data[place:place] = data[place : place + length]
        elif kind == 4:
            del data[place:]
        else:
            data[place : place + 1] = rng.choice(_ODD_BYTES)
    return bytes(data)


def other_json(rng: random.Random, content: bytes) -> bytes | None:
    """JSON, or JSON Lines, with one value, key or entry replaced; None where it is none."""
    try:
        text = content.decode()
        lines = text.splitlines() if text.count("\n") > 1 and text[0] == "{" and "}\n{" in text else [text]
        chosen = rng.randrange(len(lines))
        value = json.loads(lines[chosen])
    except (ValueError, IndexError):
        return None
    others = [holder[key] for holder, key in _places(value)]

    def other(key: Any, part: Any) -> Any:
        """Nothing that one expects there, or what stands elsewhere."""
        return rng.choice(ODD) if rng.random() < 0.6 else json.loads(json.dumps(rng.choice(others)))

    if not _change_a_value(rng, value, other):
        return None
    lines[chosen] = json.dumps(value)
    if rng.randrange(4) == 3:
        lines[chosen] = lines[chosen].replace('"x"', rng.choice(_NO_JSON))
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def _change_a_value(rng: random.Random, value: Any, other: Callable[[Any, Any], Any]) -> bool:
    """Removes, renames or replaces (by `other(key, value)`) one part of a JSON value; whether there was one."""
    places = list(_places(value))
    if not places:
        return False
    holder, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(("", "x", str(key).upper()))] = holder.pop(key)
    else:
        holder[key] = other(key, holder[key])
    return True


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of a JSON value."""
    if isinstance(value, dict | list):
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(part)


def _other_safetensors(rng: random.Random, content: bytes) -> bytes | None:
    """Another type, shape, offset, name or note in the header, whose length is right again."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length]) if content[8:9] == b"{" else None
    except ValueError:
        return None
    if not isinstance(header, dict):
        return None

    def other(key: Any, part: Any) -> Any:
        if key == "dtype":
            return rng.choice(_DTYPES)
        if type(part) is int:
            return rng.choice((-1, part + 1, part * 2, part // 2, *_NUMBERS))
        return rng.choice(ODD)

    _change_a_value(rng, header, other)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _other_gguf(rng: random.Random, content: bytes) -> bytes | None:
    """Another count, type, length, size or value among the numbers of the header."""
    if content[:4] != b"GGUF":
        return None
    at, width = rng.choice(_gguf_numbers(content))
    number = rng.choice(_NUMBERS) % 2 ** (8 * width)
    return content[:at] + number.to_bytes(width, "little") + content[at + width :]


def _gguf_numbers(content: bytes) -> list[tuple[int, int]]:
    """The place and width of the numbers in a GGUF header, a few of each list."""
    widths = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    found, at = [], 4

    def number(width: int, told: bool = True) -> int:
        nonlocal at
        if told:
            found.append((at, width))
        at += width
        return int.from_bytes(content[at - width : at], "little")

    def text(told: bool = True) -> None:
        nonlocal at
        length = number(8, told)
        at += length

    def value(kind: int, told: bool) -> None:
        if kind == 8:
            text(told)
        elif kind == 9:
            inner, count = number(4, told), number(8, told)
            for index in range(count):
                value(inner, told and index < 2)
        else:
            number(widths[kind], told)

    number(4)
    tensors, fields = number(8), number(8)
    for _ in range(fields):
        text()
        value(number(4), True)
    for _ in range(tensors):
        text()
        for _ in range(number(4)):
            number(8)
        number(4), number(8)
    return found


def _other_numpy(rng: random.Random, content: bytes) -> bytes | None:
    """Another type, order or shape in the header of an array."""
    if not content.startswith(b"\x93NUMPY\x01") or len(content) < 12:
        return None
    (length,) = struct.unpack("<H", content[8:10])
    try:
        header = ast.literal_eval(content[10 : 10 + length].decode("latin-1"))
    except (ValueError, SyntaxError):
        return None
    key = rng.choice(sorted(header))
    shapes = ((), (0,), (-1,), (2**40,), (2**62, 4), (1, 1, 1), (True,), (2.0,), [2, 4], "4", None)
    header[key] = rng.choice({"descr": _DESCRIPTIONS, "shape": shapes, "fortran_order": (True, 1, None)}.get(key, ODD))
    if rng.randrange(5) == 0:
        header[rng.choice(("x", "shape ", ""))] = header.pop(key)
    text = repr(header).encode("latin-1", "replace")[: 2**16 - 2] + b"\n"
    return content[:8] + struct.pack("<H", len(text)) + text + content[10 + length :]


def _other_zip(rng: random.Random, content: bytes) -> bytes | None:
    """Another name of a member, or another member, in an archive that is whole."""
    if not content.startswith(b"PK\x03\x04"):
        return None
    source = zipfile.ZipFile(io.BytesIO(content))
    members = [(info.filename, source.read(info)) for info in source.infolist()]
    chosen, kind = rng.randrange(len(members)), rng.randrange(4)
    name, data = members[chosen]
    if kind == 0:
        del members[chosen]
    elif kind == 1:
        members[chosen] = name, mutate(rng, data)
    else:
        names = ("a" * 300, "a" * 300 + ".npy", "../x.npy", "/x", "x/", "é\u202e.npy", ".npy", members[0][0])
        members[chosen if kind == 2 else len(members) :] = [(rng.choice(names), data), *members[chosen + 1 :]]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return written.getvalue()


def _other_gzip(rng: random.Random, content: bytes) -> bytes | None:
    """Other content, compressed again."""
    if not content.startswith(b"\x1f\x8b"):
        return None
    return gzip.compress(mutate(rng, gzip.decompress(content)), mtime=0)
