"""Demonstrations + input + output → text → token ids with the place where the loss begins. Pure.

One layout serves every method; a soft prompt, if there is one, stands before the first token:

    [soft prompt: P rows] [BOS] [demonstration 1 … k: input, output] [input] [output]

The BOS stands there once, and only where the tokenizer's own template puts one before a text (OPT, Llama, Mistral,
Gemma), as Hugging Face and PEFT lay a row out; the text itself never names it.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ipt_jax.errors import InputError
from ipt_jax.retrieval import Retrieval


class Encoder(Protocol):
    """A tokenizer that adds no special token; `continuation` encodes what goes on after other text."""

    bos_id: int | None
    eos_ids: tuple[int, ...]

    @property
    def continuation(self) -> Encoder: ...

    def encode(self, text: str) -> list[int]: ...


class Format(Protocol):
    """What writes an example as text and tokens: a `Template` below, or `chat.Chat`."""

    def source(self, tokenizer: Any, text: str, demonstrations: Sequence[Demonstration]) -> tuple[str, list[int]]:
        """What stands before the output, as text and as tokens."""

    def target_text(self, output: str, tokenizer: Any) -> str:
        """The text that is to be written, without the end token."""

    def encoded_target(self, output: str, tokenizer: Any) -> list[int]:
        """Its tokens, as what goes on after a source."""

    def ends(self, tokenizer: Any, end_token: bool) -> Ends:
        """The tokens before a source and, where a target ends with one, after it."""

    def answer(self, text: str) -> str:
        """What of a text that the model wrote is its answer."""


@dataclasses.dataclass(frozen=True)
class Template:
    """The text around an input and its output.

    The space before the output belongs to the target, not to the query: that is where byte-pair
    tokenizers cut, so the tokens of query + target begin with the tokens of the query.

    Attributes:
      query: with `{input}`; its last character must not be white space.
      target: with `{output}`.
      separator: what ends a demonstration, after its target.
    """

    query: str = "Input: {input}\nOutput:"
    target: str = " {output}\n"
    separator: str = "\n"

    def __post_init__(self):
        for leaf, field in (("query", "input"), ("target", "output")):
            text = getattr(self, leaf)
            fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
            if fields != [field]:
                raise InputError(f"layout.template.{leaf}={text!r} must contain {{{field}}} exactly once")
        if self.query[-1].isspace():
            raise InputError(
                f"layout.template.query={self.query!r} ends with white space, which would be cut off the target's "
                "first token; move it to the start of layout.template.target"
            )

    def source(self, tokenizer: Encoder, text: str, demonstrations: Sequence[Demonstration]) -> tuple[str, list[int]]:
        """See `Format`."""
        source = render(self, text, demonstrations)
        return source, tokenizer.encode(source)

    def target_text(self, output: str, tokenizer: Any = None) -> str:
        """See `Format`."""
        return self.target.format(output=output)

    def encoded_target(self, output: str, tokenizer: Encoder) -> list[int]:
        """See `Format`."""
        return tokenizer.continuation.encode(self.target_text(output))

    def ends(self, tokenizer: Encoder, end_token: bool) -> Ends:
        """See `Format`."""
        return Ends(tokenizer.bos_id, tokenizer.eos_ids[0] if end_token else None)

    def answer(self, text: str) -> str:
        """See `Format`."""
        return text.strip()


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the rows of a run are made; what they may not be longer than is said beside it.

    Attributes:
      template: the text around an input and its output, or the conversation that they are turns of.
      overflow: `fail` or `truncate`, for an input that does not fit without any demonstration.
      end_token: whether a target ends with the tokenizer's end token.
      retrieval: what is shown before an input; None for nothing.
      prompt_place: of a soft prompt: `first`, or `behind_bos`, where the BOS is not one of the row's tokens.
    """

    template: Format = Template()
    overflow: str = "fail"
    end_token: bool = True
    retrieval: Retrieval | None = None
    prompt_place: str = "first"


# Places of a soft prompt.
BEHIND_BOS = "behind_bos"
PLACES = ("first", BEHIND_BOS)


class Item(NamedTuple):
    """An example to be laid out: what to call it in an error, its input, and its target where it is to be learned."""

    name: str
    input: str
    target: str | None = None


class Ends(NamedTuple):
    """The tokens before a source and after a target; None for none."""

    bos_id: int | None = None
    eos_id: int | None = None


NO_ENDS = Ends()


@dataclasses.dataclass(frozen=True, slots=True)
class Demonstration:
    """A solved example shown before the input; `similarity` is None where it was drawn at random."""

    id: str
    input: str
    output: str
    similarity: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One example as the model sees it.

    Attributes:
      source: the exact text before the output, without the BOS.
      tokens: the BOS if there is one, ids of the source, then of the target and the end token if the row has a target.
      source_length: tokens before the target, the BOS among them unless a prompt stands between it and the rest;
        `tokens[source_length:]` is what is learned.
      demonstrations: those that are shown, farthest from the input first.
      dropped: how many demonstrations did not fit.
      truncated: whether the input was cut.
    """

    source: str
    tokens: tuple[int, ...]
    source_length: int
    demonstrations: tuple[Demonstration, ...]
    dropped: int
    truncated: bool


def render(template: Template, text: str, demonstrations: Sequence[Demonstration] = ()) -> str:
    """The source text.

    >>> render(Template(), "a : is : b", [Demonstration("t:0", "c : is : d", "c is d.")])
    'Input: c : is : d\\nOutput: c is d.\\n\\nInput: a : is : b\\nOutput:'
    """
    shown = [
        template.query.format(input=d.input) + template.target.format(output=d.output) + template.separator
        for d in demonstrations
    ]
    return "".join(shown) + template.query.format(input=text)


def encode(
    layout: Layout,
    tokenizer: Encoder,
    item: Item,
    demonstrations: Sequence[Demonstration] = (),
    *,
    budget: float,
    ends: Ends = NO_ENDS,
) -> Row:
    """Lays an example out within a budget of tokens.

    Worked example, one token a character for brevity and budget 20: a BOS, a source of 15 tokens and a target
    of 4 with the end token fit as they are. With a budget of 15 the first demonstration is dropped, then
    the next; an input that is alone too long is cut from its end (`truncate`) or refused (`fail`).

    The target is encoded as what goes on after the source, so a row's source has the same tokens whether the
    target is learned or to be generated.

    Args:
      budget: most tokens of BOS, source and target together; the caller has taken off prompt rows and, where
        there is no target, the tokens to be generated. Whatever fits a budget is laid out as for every larger one.

    Raises:
      InputError: the row does not fit and `layout.overflow` is `fail`, or the target alone exceeds the budget.
    """
    template, text = layout.template, item.input
    ending: list[int] = []
    if item.target is not None:
        ending = template.encoded_target(item.target, tokenizer)
        ending += [] if ends.eos_id is None else [ends.eos_id]
    beginning = [] if ends.bos_id is None else [ends.bos_id]
    room = budget - len(beginning) - len(ending)
    shown = list(demonstrations)
    source, ids = template.source(tokenizer, text, shown)
    while len(ids) > room and shown:
        shown = shown[1:]
        source, ids = template.source(tokenizer, text, shown)
    truncated = len(ids) > room
    if truncated:
        frame = len(template.source(tokenizer, "", ())[1])
        if layout.overflow != "truncate" or room <= frame:
            raise InputError(
                f"{item.name}: {len(beginning) + len(ids)} tokens of input and {len(ending)} of target do not fit "
                f"{budget} positions; "
                "shorten it, set layout.overflow='truncate', or use a model with more positions"
            )
        source, ids = _cut(template, tokenizer, text, room)
    before = beginning + ids
    if layout.prompt_place == BEHIND_BOS:
        if tokenizer.bos_id is None or before[:1] != [tokenizer.bos_id]:
            raise InputError(
                f"{item.name} begins with no BOS that a soft prompt could stand behind; set "
                "config.layout.prompt_place='first'"
            )
        before = before[1:]
    return Row(
        source=source,
        tokens=tuple(before + ending),
        source_length=len(before),
        demonstrations=tuple(shown),
        dropped=len(demonstrations) - len(shown),
        truncated=truncated,
    )


def _cut(template: Format, tokenizer: Encoder, text: str, room: int) -> tuple[str, list[int]]:
    """The longest beginning of the input, cut at a character, whose source fits the room."""
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(template.source(tokenizer, text[:middle], ())[1]) <= room:
            fits = middle
        else:
            too_long = middle
    return template.source(tokenizer, text[:fits], ())
