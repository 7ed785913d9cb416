"""BLEU as Logic2Text's official script computes it (multi-bleu.perl): unsmoothed, cased, words between ASCII blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipt_jax.metrics.bleu import UNSMOOTHED, bleu_statistics, corpus_bleu

# Perl splits bytes, at ASCII white space alone; Python splits at every Unicode white space, and U+001C to U+001F.
_SPACE = re.compile(r"[ \t\n\r\f\v]+")


def ascii_words(text: str) -> list[str]:
    r"""The words of a text that is tokenised already.

    >>> ascii_words(" a b\u3000c  d\n")
    ['a', 'b\u3000c', 'd']
    """
    return [word for word in _SPACE.split(text) if word]


def _tokenise(prediction: str, references: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    return ascii_words(prediction), [ascii_words(text) for text in references]


# Without a common 4-gram it is 0.
MULTI_BLEU = corpus_bleu(
    "bleu_official",
    "BLEU (official)",
    "as Logic2Text's own script computes it (multi-bleu.perl: cased, unsmoothed)",
    label="convention:multi-bleu|split:ascii",
    statistics=bleu_statistics(_tokenise),
    settings=UNSMOOTHED,
)
