"""Values ↔ JSON text, with one kind of failure: what is wrong with a text is a ValueError that says the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


TOO_DEEP = "brackets are nested too deeply"
DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # made once: `json.loads` would make one for each text


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; bytes are UTF-8.

    Raises:
      ValueError: no JSON, NaN or infinity, not UTF-8, thousands of nested brackets, or a number of thousands of digits.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} (column {error.colno})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason})") from error
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The same, of a text that must be a JSON object.

    >>> parse_object('{"a": [1]}')
    {'a': [1]}
    """
    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError(f"an object is expected, not {type(value).__name__}")
    return value


def check_characters(text: str, value: Any) -> None:
    """Raises a ValueError where a value that was parsed from this text holds half a surrogate pair.

    JSON allows it, but it is no character: no UTF-8 file and no Arrow table can hold it.
    """
    if "\\ud" in text or "\\uD" in text:  # only an escape can make one, so most texts cost no more than this look
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(f"{half} is half a surrogate pair and no character") from error


def dumps(value: Any, **options) -> bytes:
    """UTF-8 JSON; NumPy and JAX values count as numbers and lists. NaN and infinity are refused (ValueError).

    A lone surrogate has no UTF-8 form; as a backslash escape it is valid JSON again.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain, **options)
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # NumPy and JAX scalars and arrays, without importing either
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__} has no JSON form")


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value, for hashing: sorted keys, no spaces, tuples as lists, UTF-8.

    Raises:
      ValueError: a leaf is NaN or infinite.
      TypeError: a leaf has no JSON form.
    """
    return dumps(value, sort_keys=True, separators=(",", ":"))
