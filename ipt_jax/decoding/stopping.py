"""Where a row ends: end tokens, and stop texts however tokens spell them, as one table that a device can follow."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Protocol

import jax
import numpy as np

from ipt_jax.errors import InputError

LENGTH, EOS, STOP_TEXT = 0, 1, 2
WHITE_SPACE = string.whitespace  # of ASCII; each a byte of its own, so that a device can tell it
STOP_NAMES = {LENGTH: "length", EOS: "eos", STOP_TEXT: "stop_text"}
_KINDS = len(STOP_NAMES)


class StopTokenizer(Protocol):
    eos_ids: tuple[int, ...]
    token_bytes: list[bytes]

    def decode(self, ids: Sequence[int]) -> str: ...


def stop_table(
    tokenizer: StopTokenizer,
    stop: Sequence[str],
    vocab_size: int,
    eos_token_id: Sequence[int] | None = None,
    *,
    after_white_space: bool = False,
) -> np.ndarray:
    """i16[S, V]: what writing a token means for a row in state s: 3 · (its next state) + LENGTH, EOS or STOP_TEXT.

    A state is how much of a stop text the row's last bytes spell, so a stop text ends its row at the token that
    completes it, in whatever pieces it is written. A row starts in state 0. Worked example, stop text "END", with
    tokens "EN", "D" and " END.":

        state                 "EN"    "D"        " END."
        0, nothing            → 2     → 0        stop
        1, "E"                → 2     → 0        stop
        2, "EN"               → 2     stop       stop

    A stop text of a single byte, such as a newline, needs no state but 0.

    Args:
      stop: texts, none empty.
      vocab_size: V, of the model; at least the tokenizer's.
      eos_token_id: tokens that end a row; the tokenizer's if None.
      after_white_space: stop texts count from the first byte that is no white space. Until then a row is in state 0,
        and state 1 is the one in which it has spelled nothing of a stop text.
    """
    automaton = _automaton([text.encode() for text in stop])
    searching = int(after_white_space and len(stop) > 0)
    if searching:
        automaton = np.concatenate([automaton[:1], automaton]) + 1
        automaton[0, list(WHITE_SPACE.encode())] = 0
    states = len(automaton) - 1
    contents = tokenizer.token_bytes[:vocab_size]
    by_length = np.argsort([-len(content) for content in contents], kind="stable")
    longest = len(contents[by_length[0]])
    # Column j holds the tokens' byte j; only the first `reach[j]` of the sorted tokens are that long.
    columns = np.zeros((len(contents), longest), np.uint8)
    for row, index in enumerate(by_length):
        columns[row, : len(contents[index])] = list(contents[index])
    sizes = np.array([len(contents[index]) for index in by_length])
    reach = [int((sizes > j).sum()) for j in range(longest)]
    table = np.repeat(_KINDS * np.arange(states, dtype=np.int16)[:, None], vocab_size, axis=1)
    for state in range(states):
        reached = np.full(len(contents), state)
        for j, count in enumerate(reach):
            reached[:count] = automaton[reached[:count], columns[:count, j]]
        # Where a stop text is held back, the search begins anew behind the token that completes it.
        table[state, by_length] = np.where(reached == states, _KINDS * searching + STOP_TEXT, _KINDS * reached)
    ends = tokenizer.eos_ids if eos_token_id is None else eos_token_id
    check_ends(ends, vocab_size)
    table[:, list(ends)] = EOS
    return table


def check_ends(eos_token_id: Sequence[int], vocab_size: int) -> None:
    """Raises InputError for an end token that a model of so many tokens cannot write."""
    if any(id >= vocab_size for id in eos_token_id):
        raise InputError(f"eos_token_id={tuple(eos_token_id)}: the model has the tokens 0 to {vocab_size - 1}")


def _automaton(texts: Sequence[bytes]) -> np.ndarray:
    """i64[S + 1, 256]: the state after a byte; S, the last one, is a text found, and is never left.

    Source: Aho and Corasick, "Efficient string matching", 1975; with a single text it is that of Knuth, Morris
    and Pratt.
    """
    # A text that begins with another, or holds it, is never reached: the other stops the row before.
    prefixes = sorted({text[:n] for text in texts for n in range(len(text))} | {b""}, key=lambda p: (len(p), p))
    prefixes = [prefix for prefix in prefixes if not any(text in prefix for text in texts)]
    number = {prefix: i for i, prefix in enumerate(prefixes)}
    table = np.full((len(prefixes) + 1, 256), len(prefixes))
    for prefix, state in number.items():
        for byte in range(256):
            seen = prefix + bytes([byte])
            if not any(seen.endswith(text) for text in texts):
                longest = next(seen[i:] for i in range(len(seen) + 1) if seen[i:] in number)
                table[state, byte] = number[longest]
    return table


def follow(
    stops: jax.Array, state: jax.Array, token: jax.Array, held: jax.Array | bool = False
) -> tuple[jax.Array, jax.Array]:
    """The next state and the kind of stop (LENGTH: none) of rows in `state` that write `token`, both i32[...].

    Args:
      stops: from `stop_table`; or i32[V] with the kinds alone, for rows that only single tokens end.
      held: bool[...], rows that no stop text ends yet.
    """
    entry = stops.reshape(-1, stops.shape[-1])[state, token].astype(np.int32)
    kind = entry % _KINDS
    return entry // _KINDS, kind - STOP_TEXT * (held & (kind == STOP_TEXT))


def is_end(stops: jax.Array) -> jax.Array:
    """bool[V]: which tokens are end tokens."""
    return stops.reshape(-1, stops.shape[-1])[0] % _KINDS == EOS


def first_stop(text: str, stop: Sequence[str], *, after_white_space: bool = False, held: int = 0) -> int | None:
    """Where the first stop text begins that counts; None where there is none.

    >>> first_stop("\\nA city.\\nInput", ("\\n",)), first_stop("\\nA city.\\nInput", ("\\n",), after_white_space=True)
    (0, 8)

    Args:
      after_white_space: stop texts count from the first character that is no white space.
      held: characters that must lie before the end of a stop text.
    """
    begin = len(text) - len(text.lstrip(WHITE_SPACE)) if after_white_space else 0
    places = [text.find(each, max(begin, held + 1 - len(each))) for each in stop]
    return min((place for place in places if place >= 0), default=None)
