"""PARENT as ToTTo's official evaluation computes it: a text against its references and its table."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import sacrebleu

from ipt_jax.metrics.bleu import tokens_13a
from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored
from ipt_jax.metrics.subsequence import common_subsequence
from ipt_jax.metrics.totto.bleu import OFFICIAL_MEANING, official_prediction, official_references, one_line
from ipt_jax.metrics.totto.moses import detokenise

_MAX_ORDER = 4
_SMOOTHING = 1e-5  # Instead of a zero: precision and recall of orders 2 to 4, recalls of references and table.
_F_SMOOTHING = 1e-8

PARENT_SIGNATURE = (
    "convention:totto_official|refs:best-f-of-first3,else<null>|text:lower,moses-detokenised|tok:13a"
    f"|order:{_MAX_ORDER}|smooth:{_SMOOTHING}|entailment:word-overlap|lambda:by-reference"
    f"|version:{sacrebleu.__version__}"
)


class ParentTable(TypedDict):
    """What PARENT reads of a table, in the official format: `attribute|||value` entries with tabs between them.

    Attributes:
      precision: all of the table: what a text may say.
      recall: its highlighted part: what a text should say.
    """

    precision: str
    recall: str


class Parent(NamedTuple):
    """Precision, recall and F-score, 0 to 100."""

    precision: float
    recall: float
    f: float


def parent(prediction: str, references: Sequence[str], table: ParentTable) -> Parent:
    """PARENT (Dhingra et al. 2019) in ToTTo's version (google-research/language, totto_parent_eval.py).

    N-grams of order 1 to 4 over sacrebleu's 13a tokens of the same official lines that `totto_bleu` sees. A
    predicted n-gram is right as far as the reference has it, else by the share of its words that are values of
    the precision table. Recall weighs a reference's n-grams by that share, and is combined with the mean
    longest common subsequence of the recall table's values: the weight of the table is one minus how much of
    it the reference itself mentions. The reference with the best F-score counts.

    The official script stops at a recall table without a word; here recall then rests on the reference alone.

    Args:
      prediction: a text; an empty one is allowed.
      references: the first three count; missing ones are `<null>`.
      table: from `parent_table`.
    """
    known, entries = _read(table)
    predicted = _analyse(official_prediction(prediction), known, entries)
    scores = [_score(predicted, _analyse(line, known, entries)) for line in official_references(references)]
    precision, recall, f = max(scores, key=lambda score: score.f)
    return Parent(100 * precision, 100 * recall, 100 * f)


def parent_table(record: Mapping[str, Any]) -> ParentTable:
    """The tables of a ToTTo record, as prepare_references_for_eval.py writes them.

    Precision: all cells row by row, page title, section title and section text. Recall: the highlighted cells,
    page and section title. What is empty is left out; a `|` becomes `-`.

        >>> cells = [[{"value": "Year", "is_header": True}, {"value": "Film", "is_header": True}],
        ...          [{"value": "2016", "is_header": False}, {"value": "Up | Down", "is_header": False}]]
        >>> record = {"table": cells, "highlighted_cells": [[1, 1]], "table_page_title": "Jo",
        ...           "table_section_title": "", "table_section_text": ""}
        >>> parent_table(record)["recall"]
        'cell|||Up - Down\\tpage_title|||Jo'
    """
    rows = record["table"]
    page, section = ("page_title", record["table_page_title"]), ("section_title", record["table_section_title"])
    text = ("section_text", record["table_section_text"])
    highlighted = (rows[row][column] for row, column in record["highlighted_cells"])
    return {
        "precision": _line([*map(_entry, itertools.chain.from_iterable(rows)), page, section, text]),
        "recall": _line([*map(_entry, highlighted), page, section]),
    }


def _entry(cell: Mapping[str, Any]) -> tuple[str, str]:
    return "header" if cell["is_header"] else "cell", cell["value"].strip()


def _line(entries: Sequence[tuple[str, str]]) -> str:
    return "\t".join(f"{attribute}|||{one_line(value).replace('|', '-')}" for attribute, value in entries if value)


def _read(table: ParentTable) -> tuple[frozenset[str], list[list[str]]]:
    """The words of the precision table's values, and the recall table's values as lists of words."""
    # Two blanks between the values: no rule of 13a looks further, so each has the tokens that it has alone.
    known = frozenset(tokens_13a("  ".join(_values(table["precision"]))))
    entries = [tokens_13a(value) for value in _values(table["recall"])]
    return known, [entry for entry in entries if entry]


def _values(line: str) -> list[str]:
    # The whole line is detokenised, as officially: quotes are counted across cells.
    return [entry.partition("|||")[2] for entry in detokenise(line.lower()).split("\t")]


@dataclasses.dataclass(frozen=True)
class _Analysis:
    """What one text contributes, whichever text it is compared with.

    Attributes:
      ngrams: how often each n-gram stands in it, for each order.
      totals: the number of its n-grams, for each order.
      entailed: the sum of its n-grams' shares of known words, for each order.
      mentioned: the mean share of a recall entry's words that are in it in order; None without entries.
      known: the words of the precision table.
    """

    ngrams: Sequence[collections.Counter[tuple[str, ...]]]
    totals: Sequence[int]
    entailed: Sequence[float]
    mentioned: float | None
    known: frozenset[str]


def _analyse(line: str, known: frozenset[str], entries: Sequence[Sequence[str]]) -> _Analysis:
    words = tokens_13a(line)
    sums = [0, *itertools.accumulate(word in known for word in words)]  # Known words before each position.
    ngrams, totals, entailed = [], [], []
    for order in range(1, _MAX_ORDER + 1):
        ngrams.append(collections.Counter(zip(*(words[start:] for start in range(order)), strict=False)))
        count = max(len(words) - order + 1, 0)
        totals.append(count)
        entailed.append((sum(sums[order:]) - sum(sums[:count])) / order)
    mentions = [common_subsequence(entry, words) / len(entry) for entry in entries]
    mentioned = sum(mentions) / len(mentions) if mentions else None
    return _Analysis(ngrams, totals, entailed, mentioned, known)


def _score(predicted: _Analysis, reference: _Analysis) -> Parent:
    precisions, recalls = [], []
    for index, (ours, theirs) in enumerate(zip(predicted.ngrams, reference.ngrams, strict=True)):
        right = predicted.entailed[index]
        found = 0.0
        # In the order of the text: that of a set is another one in every process, and so would be the last bit.
        for ngram, count in ours.items():
            if common := min(count, theirs[ngram]):
                share = sum(word in reference.known for word in ngram) / len(ngram)
                right += common * (1 - share)
                found += common * share
        precisions.append(right / predicted.totals[index] if predicted.totals[index] else 0.0)
        recalls.append(found / reference.entailed[index] if reference.entailed[index] else 1.0)
    precision = _mean_of_orders(precisions)
    recall = _mean_of_orders(recalls) or _SMOOTHING
    if predicted.mentioned is not None and reference.mentioned is not None:
        recall = recall**reference.mentioned * (predicted.mentioned or _SMOOTHING) ** (1 - reference.mentioned)
    return Parent(precision, recall, 2 * precision * recall / (precision + recall + _F_SMOOTHING))


def _mean_of_orders(values: Sequence[float]) -> float:
    """The geometric mean, in which a zero at order 1 is kept and later ones are smoothed."""
    first, *others = values
    return math.prod([first, *(value or _SMOOTHING for value in others)]) ** (1 / _MAX_ORDER)


def _rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    """f64[N, 4]; the tables are `Example.details["table"]`."""
    pairs = zip(predictions, examples, strict=True)
    return scored([parent(text, example.references, example.details["table"]) for text, example in pairs])


# Of a corpus, their means. The F-score alone stands beside single texts, and its signature is that of all three.
PARENT = (
    Metric("parent", "PARENT", OFFICIAL_MEANING, PARENT_SIGNATURE, _rows, mean(2), mean(2)),
    Metric("parent_precision", "PARENT precision", "", "", _rows, mean(0)),
    Metric("parent_recall", "PARENT recall", "", "", _rows, mean(1)),
)
