"""BLEU under named conventions, which differ by about a point on the same texts and are never mixed."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sacrebleu.metrics import BLEU

from ipt_jax.metrics.checks import check_corpus

OFFICIAL_REFERENCES = 3


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric over a corpus.

    Attributes:
      value: 0 to 100.
      signature: everything that can change the value besides the texts: convention, settings, version.
      details: for BLEU `precisions` (0 to 100), `bp` (brevity penalty), `counts` and `totals` of n-grams of
        order 1 to 4, `hyp_len` and `ref_len` in tokens.
    """

    value: float
    signature: str
    details: Mapping[str, Any]


def bleu(predictions: Sequence[str], references: Sequence[Sequence[str]], *, convention: str) -> Score:
    """Corpus BLEU under a named convention.

    `sacrebleu` (Post 2018): sacrebleu's defaults, that is 13a tokens, cased, exponential smoothing, with every
    reference of an example; `sacrebleu_lowercase`: the same in lower case.

    `unifiedskg` (Xie et al. 2022, metrics/dart): sacrebleu's 13a tokens, cased, exponential smoothing, stripped
    texts, every reference of an example; a missing one is None and does not count.

    `dart_official` (Nan et al. 2021, Yale-LILY/dart, multi-bleu.perl): `official_text` tokens in lower case, no
    smoothing, the first three references; a missing one is an empty line, which counts as a reference of
    length 0 and so lets short predictions pay less brevity penalty.

        >>> round(bleu(["The Wrestlers is a pub."], [["The Wrestlers is a pub."]], convention="dart_official").value, 6)
        100.0

    Args:
      predictions: one text per example; an empty one is allowed.
      references: for each example its texts, at least one.
      convention: one of the above.

    Raises:
      ValueError: see `check_corpus`; an unknown convention.
    """
    if convention not in _CONVENTIONS:
        raise ValueError(f"convention = {convention!r} is not a BLEU convention: {', '.join(_CONVENTIONS)}")
    check_corpus(predictions, references)
    return _CONVENTIONS[convention](predictions, references)


def sentence_bleu(prediction: str, references: Sequence[str]) -> float:
    """BLEU of one text, 0 to 100: the `unifiedskg` convention with effective order; 0 for an empty prediction.

    Effective order leaves out the n-gram orders that the prediction is too short to have. It is for looking at
    single examples; its mean is not the corpus score.
    """
    metric = BLEU(tokenize="13a", smooth_method="exp", effective_order=True)
    return min(metric.sentence_score(prediction.strip(), [text.strip() for text in references]).score, 100.0)


def official_text(text: str) -> str:
    """The tokenisation of DART's official reference files: every character that no word has stands alone.

    Lower-casing comes last, because it turns a dotted capital I into two characters, one of them not a word's.

        >>> official_text("Hawaii Five-O, 1968.")
        'hawaii five - o , 1968 .'
    """
    return " ".join(re.sub(r"(\W)", r" \1 ", text).split()).lower()


def _13a(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    name: str,
    strip: bool = False,
    lowercase: bool = False,
) -> Score:
    prepare: Callable[[str], str] = str.strip if strip else str
    width = max(len(texts) for texts in references)
    streams = [[prepare(texts[n]) if n < len(texts) else None for texts in references] for n in range(width)]
    metric = BLEU(tokenize="13a", smooth_method="exp", lowercase=lowercase, force=True)
    return _score(metric, [prepare(text) for text in predictions], streams, f"convention:{name}")


def _dart_official(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    streams = [
        [official_text(texts[n]) if n < len(texts) else "" for texts in references] for n in range(OFFICIAL_REFERENCES)
    ]
    metric = BLEU(tokenize="none", smooth_method="none", force=True)
    label = f"convention:dart_official|refs:first{OFFICIAL_REFERENCES}|text:split-at-nonword,lower"
    score = _score(metric, [official_text(text) for text in predictions], streams, label)
    # Where the nearest references are all empty lines, the script prints 0.
    return score if score.details["ref_len"] else dataclasses.replace(score, value=0.0)


_CONVENTIONS: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]]], Score]] = {
    "sacrebleu": functools.partial(_13a, name="sacrebleu"),
    "sacrebleu_lowercase": functools.partial(_13a, name="sacrebleu_lowercase", lowercase=True),
    "unifiedskg": functools.partial(_13a, name="unifiedskg", strip=True),
    "dart_official": _dart_official,
}


def _score(metric: BLEU, predictions: list[str], streams: list[list[str | None]], label: str) -> Score:
    result = metric.corpus_score(predictions, streams)
    details = {
        "precisions": tuple(result.precisions),
        "bp": result.bp,
        "counts": tuple(result.counts),
        "totals": tuple(result.totals),
        "hyp_len": result.sys_len,
        "ref_len": result.ref_len,
    }
    # Rounding can leave 100.00000000000004.
    return Score(min(result.score, 100.0), f"{label}|{metric.get_signature()}", details)
