"""An example as turns of a conversation, laid out by the checkpoint's own chat template.

Demonstrations are earlier turns of user and assistant, the input is the last turn of the user:

    [system] [user: input 1] [assistant: output 1] … [user: input] [assistant:

The template is rendered once for each number of demonstrations, with a mark in each place of data, and never sees the
data: so a template's markers are tokens where it writes them, and the same characters in an input are characters.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from ipt_jax.errors import InputError
from ipt_jax.models.chat_template import ChatTemplate
from ipt_jax.models.tokenizer import Marker, TextAround, Tokenizer
from ipt_jax.rows.layout import Demonstration, Ends

# A place of data, between two blanks that no template writes: one that is gone shows that the template strips there.
# The letters show what changes cases.
_MARK = "\u2003\ue000Aa{}\ue001\u2003"
_MARKED = re.compile("(\u2003?)\ue000Aa(\\d+)\ue001(\u2003?)")
_THOUGHT = re.compile(r"^\s*(?:<think>)?.*?(?:</think>|\Z)", re.DOTALL)


class Slot(NamedTuple):
    """A place of data: which turn's, and whether the template takes white space off its sides."""

    turn: int
    strip_left: bool
    strip_right: bool

    def fill(self, contents: Sequence[str]) -> str:
        text = contents[self.turn]
        text = text.lstrip() if self.strip_left else text
        return text.rstrip() if self.strip_right else text


Piece = str | Marker | Slot


@dataclasses.dataclass(frozen=True)
class Chat:
    """The layout beside `Template`: see the module.

    Attributes:
      template: the checkpoint's.
      system: the system turn's text; empty for none, or for the template's own.
      user: a user turn's text, with `{input}`.
    """

    template: ChatTemplate
    system: str = ""
    user: str = "{input}"

    def source(self, tokenizer: Tokenizer, text: str, demonstrations: Sequence[Demonstration]) -> tuple[str, list[int]]:
        """The text before the answer, and its tokens, a BOS among them where the template writes one."""
        contents = [self.user.replace("{input}", text)]
        for shown in reversed(demonstrations):
            contents = [self.user.replace("{input}", shown.input), shown.output, *contents]
        frame = self._frame(tokenizer, len(demonstrations))
        return _written(frame.before, contents), _encoded(frame.before, contents, frame.around)

    def target_text(self, output: str, tokenizer: Tokenizer) -> str:
        """What the model is to write, without the token that ends its turn."""
        frame = self._frame(tokenizer, 0)
        return _written(frame.answer, [output])

    def encoded_target(self, output: str, tokenizer: Tokenizer) -> list[int]:
        frame = self._frame(tokenizer, 0)
        return _encoded(frame.answer, [output], frame.going_on)

    def ends(self, tokenizer: Tokenizer, end_token: bool) -> Ends:
        """No BOS, which is the template's own affair, and the token that ends a turn."""
        return Ends(None, self._frame(tokenizer, 0).end if end_token else None)

    def answer(self, text: str) -> str:
        """What is written behind a model's thoughts."""
        return without_thinking(text).strip()

    def _frame(self, tokenizer: Tokenizer, demonstrations: int) -> _Frame:
        return _frame(self, tokenizer, demonstrations)


def chat_of(tokenizer: Tokenizer, system: str = "", user: str = "{input}") -> Chat:
    """The layout of a tokenizer's own chat template. Raises InputError where it has none."""
    if tokenizer.chat is None:
        raise InputError(
            "the model's files have no chat template; lay texts out without one, or put the template's "
            "chat_template.jinja into the model's folder"
        )
    return Chat(tokenizer.chat, system, user)


class _Frame(NamedTuple):
    """What the template makes of a conversation of so many demonstrations.

    Attributes:
      before: what stands before the answer.
      answer: what the assistant writes, up to its turn's end.
      end: the token that ends its turn.
      around: encoders of what is no marker before the answer.
      going_on: of what is none in it: it goes on after other text.
    """

    before: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    end: int
    around: TextAround
    going_on: TextAround


@functools.lru_cache(maxsize=64)
def _frame(chat: Chat, tokenizer: Tokenizer, demonstrations: int) -> _Frame:
    count = 2 * demonstrations + 2
    turns = [(("user", "assistant")[i % 2], _MARK.format(i)) for i in range(count)]
    system = [("system", chat.system)] if chat.system else []
    opened = chat.template.render([*system, *turns[:-1]], open_answer=True)
    closed = chat.template.render([*system, *turns], open_answer=False)
    markers = tokenizer.markers(chat.template.text)
    before = _pieces(opened, markers)
    _check_slots(before, count - 1, chat.template.label)
    # What a finished answer has behind the opened one; a template may open an answer otherwise than it writes one.
    rest = closed.removeprefix(opened) if closed.startswith(opened) else closed[_start_of(closed, count - 1) :]
    after = _pieces(rest, markers)
    _check_slots(after, 1, chat.template.label, first=count - 1)
    place = next(i for i, piece in enumerate(after) if isinstance(piece, Slot))
    end = next((piece for piece in after[place:] if isinstance(piece, Marker)), None)
    if end is None or end.id not in tokenizer.eos_ids:
        named = "nothing" if end is None else repr(end.text)
        raise InputError(
            f"{chat.template.label} ends an answer with {named}, which is no token that ends a text; "
            "name it in eos_token_id of the model's generation_config.json"
        )
    answer = [piece._replace(turn=0) if isinstance(piece, Slot) else piece for piece in after[: after.index(end)]]
    going_on = tokenizer.continuation.around(markers).first
    return _Frame(before, tuple(answer), end.id, tokenizer.around(markers), TextAround(going_on, going_on))


def _start_of(text: str, turn: int) -> int:
    found = next((match for match in _MARKED.finditer(text) if int(match[2]) == turn), None)
    return found.start() if found else len(text)


def _pieces(text: str, markers: dict[str, Marker]) -> tuple[Piece, ...]:
    """A rendered text as what stands there, markers, and places of data."""
    spelled = "|".join(map(re.escape, sorted(markers, key=len, reverse=True))) or "(?!)"
    found: list[Piece] = []
    end = 0
    for match in re.finditer(f"{_MARKED.pattern}|({spelled})", text):
        found.append(text[end : match.start()])
        if match[4]:
            found.append(markers[match[4]])
        else:
            found.append(Slot(int(match[2]), not match[1], not match[3]))
        end = match.end()
    return tuple(piece for piece in (*found, text[end:]) if piece != "")


def _check_slots(pieces: Sequence[Piece], count: int, label: str, first: int = 0) -> None:
    turns = [piece.turn for piece in pieces if isinstance(piece, Slot)]
    if turns != list(range(first, first + count)):
        raise InputError(
            f"{label} does not write each turn's text once, as it is and in its order; config.layout.chat needs a "
            "template that does"
        )


def _written(pieces: Sequence[Piece], contents: Sequence[str]) -> str:
    """The text of a conversation."""
    texts = {Slot: lambda piece: piece.fill(contents), Marker: lambda piece: piece.text, str: lambda piece: piece}
    return "".join(texts[type(piece)](piece) for piece in pieces)


def _encoded(pieces: Sequence[Piece], contents: Sequence[str], around: TextAround) -> list[int]:
    """The tokens of a conversation, as the tokenizer makes them of its text where the markers alone are tokens."""
    ids: list[int] = []
    run, stripped = "", False

    def flush(strip_right: bool) -> None:
        nonlocal run
        text = run.rstrip() if strip_right else run
        if text:
            ids.extend((around.behind if ids else around.first).encode(text))
        run = ""

    for piece in pieces:
        if isinstance(piece, Marker):
            flush(piece.eats_left)
            ids.append(piece.id)
            stripped = piece.eats_right
            continue
        run += piece.fill(contents) if isinstance(piece, Slot) else piece
        if stripped:
            run = run.lstrip()
            stripped = not run
    flush(False)
    return ids


def without_thinking(text: str) -> str:
    """An answer without what a model thinks before it, from its beginning to </think>.

    >>> without_thinking("<think>7 is odd.</think> seven")
    ' seven'
    """
    return _THOUGHT.sub("", text, count=1) if "</think>" in text or text.lstrip().startswith("<think>") else text
