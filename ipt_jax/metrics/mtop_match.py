"""How far two bracketed parses of MTOP agree: exactly, in the root intent, in the template of labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored

MTOP_SIGNATURE = "convention:top_metrics|text:raw"


class MtopMatch(NamedTuple):
    """The verdicts on one prediction.

    Attributes:
      exact: the two strings are equal, white space included.
      intent: the root intents are equal up to their first hyphen.
      template: the frames are equal: the root intent and the set of label paths that hold words.
      valid: the prediction can be read as one tree.
    """

    exact: bool
    intent: bool
    template: bool
    valid: bool


@dataclasses.dataclass(slots=True)
class Node:
    """A bracket of a parse.

    Attributes:
      label: such as `IN:GET_EVENT`; empty for a `[` alone.
      parent: the place of the node around it, in the list that `read_parse` returns; -1 for the root.
      has_words: whether a word stands in it directly, and not only in a node inside it.
    """

    label: str
    parent: int
    has_words: bool = False


def mtop_match(gold: str, prediction: str) -> MtopMatch:
    """Compares a prediction with the gold parse as `top_metrics` of google-research's casper does, on raw strings.

        >>> mtop_match("[IN:GET_ALARM [SL:ORDINAL next ] ]", "[IN:GET_ALARM [SL:ORDINAL first ] ]")
        MtopMatch(exact=False, intent=True, template=True, valid=True)

    An invalid prediction matches in nothing. Time and memory grow linearly with the prediction's length, whatever
    it holds.

    Raises:
      ValueError: the gold cannot be read as a tree.
    """
    gold_nodes, nodes = read_parse(gold), read_parse(prediction)
    if gold_nodes is None:
        raise ValueError(f"gold = {gold!r} is not a bracketed parse")
    if nodes is None:
        return MtopMatch(exact=False, intent=False, template=False, valid=False)
    gold_frame = _frame(gold_nodes)
    return MtopMatch(
        exact=prediction == gold,
        intent=_root_intent(nodes) == _root_intent(gold_nodes),
        template=_frame(nodes, longest=len(gold_frame)) == gold_frame,
        valid=True,
    )


def read_parse(text: str) -> list[Node] | None:
    """The nodes of a bracketed parse in the order in which they open, or None where the text is not one tree.

    White space separates tokens. One that begins with `[` opens a node, `]` alone closes it, everything else is a
    word: so `]]` and `next]` are words. The shortened format (`[IN get alarm = …]`) is read too.
    """
    if text.startswith("[IN "):
        text = _lengthened(text)
    nodes: list[Node] = []
    open_nodes: list[int] = []
    for token in text.split():
        if not open_nodes and (nodes or token[0] != "["):
            return None  # A word or a bracket outside the root, or a second root.
        if token[0] == "[":
            open_nodes.append(len(nodes))
            nodes.append(Node(token[1:], parent=open_nodes[-2] if len(open_nodes) > 1 else -1))
        elif token == "]":
            open_nodes.pop()
        else:
            nodes[open_nodes[-1]].has_words = True
    return nodes if nodes and not open_nodes else None


def _lengthened(text: str) -> str:
    """The usual form of the shortened format: `[IN get alarm = [SL ordinal = next]]` has the label IN:GET_ALARM."""
    pieces = []
    in_label = False
    for token in text.replace("]", " ]").split():
        if not in_label:
            in_label = token[0] == "["
            pieces.append(f" {token}:" if in_label else f" {token}")
        elif token == "=":
            in_label = False
        else:
            pieces.append(f"_{token.upper()}")
    return "".join(pieces).replace(":_", ":")


def _root_intent(nodes: list[Node]) -> str:
    return nodes[0].label.partition("-")[0]


def _frame(nodes: list[Node], *, longest: float = math.inf) -> str:
    """The root intent and the sorted set of dotted label paths that hold words, joined by hyphens.

    The root is not part of a path, and a path has no dots in front: a word directly under the root has the empty
    path. Paths are cut behind `longest` characters: a frame with a cut path is longer than that, so it differs
    from every frame of at most `longest` characters, and ten thousand brackets in each other do not fill the memory.
    """
    paths = [""]
    for node in nodes[1:]:
        parent = paths[node.parent]
        path = f"{parent}.{node.label}" if parent else node.label.lstrip(".")
        paths.append(path if len(path) <= longest else path[: int(longest) + 1])
    held = {path for node, path in zip(nodes, paths, strict=True) if node.has_words}
    return "-".join([nodes[0].label, *sorted(held)])


def _rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    pairs = zip(predictions, examples, strict=True)
    return scored([[100.0 * verdict for verdict in mtop_match(example.references[0], text)] for text, example in pairs])


_TITLES = {
    "exact_match": "exact match",
    "intent_match": "intent match",
    "template_match": "template match",
    "valid": "valid",
}
# In the order of MtopMatch's fields.
MTOP_MATCHES = tuple(
    Metric(name, title, "", MTOP_SIGNATURE, _rows, mean(column), mean(column))
    for column, (name, title) in enumerate(_TITLES.items())
)
