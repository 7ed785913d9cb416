"""BLEU under named conventions, which differ by about a point on the same texts and are never mixed."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

from sacrebleu.metrics.bleu import BLEU, BLEUScore
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from ipt_jax.metrics.metric import Judged, Metric, Rows, Sums
from ipt_jax.metrics.ngrams import EXPECTED, MATCHES, TOTALS, WRITTEN, ngram_counts

OFFICIAL_REFERENCES = 3
DEFAULTS = BLEU()  # 13a tokens, cased, exponential smoothing
UNSMOOTHED = BLEU(tokenize="none", smooth_method="none")

# (A prediction, its references) → the tokens of the one and of each of the others.
Tokenise = Callable[[str, Sequence[str]], tuple[Sequence[str], Sequence[Sequence[str]]]]


def corpus_bleu(
    name: str,
    title: str,
    meaning: str,
    *,
    label: str,
    statistics: Callable[[Sequence[str], Sequence[Judged]], Rows],
    settings: BLEU = DEFAULTS,
    references: int | None = None,
) -> Metric:
    """Corpus BLEU, as sacrebleu (Post 2018) computes it from the counts of `bleu_statistics`.

    Args:
      label: what the signature says of the texts, before sacrebleu's own words.
      settings: the smoothing, and what sacrebleu's signature says of tokens and case.
      references: how many each example has, where that does not depend on it.
    """

    def signature(examples: Sequence[Judged]) -> str:
        counts = {references} if references else {len(example.references) for example in examples}
        return f"{label}|{_signature(settings, counts.pop() if len(counts) == 1 else None)}"

    return Metric(name, title, meaning, signature, statistics, functools.partial(_value, settings))


def bleu_statistics(tokenise: Tokenise) -> Callable[[Sequence[str], Sequence[Judged]], Rows]:
    """The statistics of a metric: f64[N, 10] of `ngram_counts` on the tokens that `tokenise` makes."""

    def statistics(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
        pairs = [tokenise(text, example.references) for text, example in zip(predictions, examples, strict=True)]
        return ngram_counts([tokens for tokens, _ in pairs], [references for _, references in pairs])

    return statistics


def bleu_score(settings: BLEU, sums: Sums) -> BLEUScore:
    """sacrebleu's BLEU of summed rows, with its precisions and its brevity penalty."""
    counts = sums.astype(int)
    return BLEU.compute_bleu(
        counts[MATCHES].tolist(),
        counts[TOTALS].tolist(),
        int(counts[WRITTEN]),
        int(counts[EXPECTED]),
        smooth_method=settings.smooth_method,
        effective_order=settings.effective_order,
    )


def _value(settings: BLEU, sums: Sums) -> float:
    return min(bleu_score(settings, sums).score, 100.0)  # rounding can leave 100.00000000000004


def tokens_13a(text: str) -> list[str]:
    return _tokeniser()(text.strip()).split()


def official_text(text: str) -> str:
    """The tokenisation of DART's official reference files: every character that no word has stands alone.

    Lower-casing comes last, because it turns a dotted capital I into two characters, one of them not a word's.

        >>> official_text("Hawaii Five-O, 1968.")
        'hawaii five - o , 1968 .'
    """
    return " ".join(re.sub(r"(\W)", r" \1 ", text).split()).lower()


@functools.cache
def _tokeniser() -> Tokenizer13a:
    """Made once: it remembers texts, and all methods have the same references."""
    return Tokenizer13a()


@functools.cache
def _signature(settings: BLEU, references: int | None) -> str:
    """sacrebleu's own signature, which it has after scoring a corpus: one with this number of references."""
    settings.corpus_score(["", ""], [["", ""]] * references if references else [["", ""], ["", None]])
    return str(settings.get_signature())


def _13a(prediction: str, references: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    return tokens_13a(prediction), [tokens_13a(text) for text in references]


def _13a_lowercase(prediction: str, references: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    return _13a(prediction.lower(), [text.lower() for text in references])


def _dart_official(prediction: str, references: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    first = [official_text(text).split() for text in references[:OFFICIAL_REFERENCES]]
    return official_text(prediction).split(), first + [[]] * (OFFICIAL_REFERENCES - len(first))


_statistics_13a = bleu_statistics(_13a)  # white space at the ends of a text makes no tokens

# UnifiedSKG (Xie et al. 2022, metrics/dart): sacrebleu's 13a tokens, cased, exponential smoothing, stripped texts,
# every reference of an example; a missing one does not count.
BLEU_UNIFIEDSKG = corpus_bleu(
    "bleu_unifiedskg",
    "BLEU (UnifiedSKG)",
    "as UnifiedSKG computes it (sacrebleu, 13a tokens, cased, all references)",
    label="convention:unifiedskg",
    statistics=_statistics_13a,
)

# sacrebleu's defaults, which on stripped texts are the same.
BLEU_SACREBLEU = corpus_bleu(
    "bleu_sacrebleu", "BLEU (sacrebleu)", "", label="convention:sacrebleu", statistics=_statistics_13a
)

BLEU_LOWERCASE = corpus_bleu(
    "bleu_lowercase",
    "BLEU (lower case)",
    "",
    label="convention:sacrebleu_lowercase",
    statistics=bleu_statistics(_13a_lowercase),
    settings=BLEU(lowercase=True),
)

# DART's script (Nan et al. 2021, Yale-LILY/dart, multi-bleu.perl): `official_text` tokens in lower case, no smoothing,
# the first three references; a missing one is an empty line, which counts as a reference of length 0 and so lets short
# predictions pay less brevity penalty.
_DART_OFFICIAL = corpus_bleu(
    "bleu_official",
    "BLEU (official)",
    "as DART's own script computes it (lower-cased, split at punctuation, the first three references)",
    label=f"convention:dart_official|refs:first{OFFICIAL_REFERENCES}|text:split-at-nonword,lower",
    statistics=bleu_statistics(_dart_official),
    settings=UNSMOOTHED,
    references=OFFICIAL_REFERENCES,
)
# Where the nearest references are all empty lines, the script prints 0.
BLEU_DART_OFFICIAL = dataclasses.replace(
    _DART_OFFICIAL, corpus=lambda sums: _DART_OFFICIAL.corpus(sums) if sums[EXPECTED] else 0.0
)

# Effective order leaves out the n-gram orders that the prediction is too short to have. It is for looking at single
# examples; its mean is not the corpus score.
SENTENCE_BLEU = Metric(
    "sentence_bleu",
    "BLEU of a text",
    "of 13a tokens, cased, smoothed, of the orders that the text has",
    "",
    _statistics_13a,
    per_example=functools.partial(_value, BLEU(effective_order=True)),
)
