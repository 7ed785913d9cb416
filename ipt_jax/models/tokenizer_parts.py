"""The parts of a `tokenizer.json`: the bytes they spell, and the space and the token they put before a text."""

from __future__ import annotations

from typing import Any

import tokenizers

from ipt_jax.errors import InputError


def byte_level_characters() -> dict[str, bytes]:
    """Each character that a byte-level vocabulary spells a byte with → that byte, by GPT-2's rule.

    Printable characters of Latin-1 stand for themselves, the other bytes in their order for U+0100 and what follows.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    codes = {byte: byte for byte in printable} | {byte: 256 + i for i, byte in enumerate(others)}
    return {chr(code): bytes([byte]) for byte, code in codes.items()}


def first_of_template(backend: tokenizers.Tokenizer) -> int | None:
    """The one token that the post-processor puts before a text, None if it puts none."""
    try:
        framed = backend.encode("a", add_special_tokens=True)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust raises, which is no Exception and has no public name
            raise
        raise InputError(f"the tokenizer's post-processor names a token that it lacks ({error})") from error
    mask = framed.special_tokens_mask
    before = mask.index(0) if 0 in mask else 0
    if before > 1:
        raise InputError(f"the tokenizer puts {framed.tokens[:before]} before a text; at most one token is supported")
    return framed.ids[0] if before else None


def puts_a_space(backend: tokenizers.Tokenizer) -> bool:
    text = backend.normalizer.normalize_str("a") if backend.normalizer else "a"
    pieces = backend.pre_tokenizer.pre_tokenize_str(text) if backend.pre_tokenizer else [(text, (0, 1))]
    return pieces[0][0] != "a"


def without_added_space(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """A normalizer, pre-tokenizer or decoder of a tokenizer.json without the space before a text. None: nothing."""
    kind = part and part["type"]
    if kind == "Sequence":
        (key,) = part.keys() - {"type"}  # normalizers, pretokenizers or decoders
        return part | {key: [kept for member in part[key] if (kept := without_added_space(member))]}
    if kind == "Prepend" or (kind == "Strip" and part.get("content") == " "):  # `content`: the decoder of that name
        return None
    if kind == "Metaspace":
        return part | {"prepend_scheme": "never"}
    if kind == "ByteLevel":
        return part | {"add_prefix_space": False}
    return part


def behind_a_token(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """A pre-tokenizer of a tokenizer.json as it treats text behind an added token: no space that is for the start."""
    if part and part["type"] == "Sequence":
        return part | {"pretokenizers": [behind_a_token(member) for member in part["pretokenizers"]]}
    if part and part["type"] == "Metaspace" and part.get("prepend_scheme") == "first":
        return part | {"prepend_scheme": "never"}
    return part
