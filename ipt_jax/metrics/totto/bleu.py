"""BLEU as ToTTo's official evaluation computes it: lower-cased, detokenised text and `<null>` for what is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipt_jax.metrics.bleu import bleu_statistics, corpus_bleu, tokens_13a
from ipt_jax.metrics.totto.moses import detokenise

NULL = "<null>"
OFFICIAL_REFERENCES = 3
OFFICIAL_MEANING = "as ToTTo's own script computes it (lower-cased, detokenised, three references)"

_LINE_BREAKS = re.compile(r"[\r\n\t]")


def official_prediction(text: str) -> str:
    """The line that BLEU and PARENT see of a prediction: stripped, `<null>` if empty, lower-cased, detokenised.

    >>> official_prediction(" He is a Knight ( KBE ) . "), official_prediction("")
    ('he is a knight (kbe).', '<null>')
    """
    return detokenise(one_line(text.strip() or NULL).lower())


def official_references(texts: Sequence[str]) -> tuple[str, str, str]:
    """The three lines that BLEU and PARENT see of the references: the first three, filled up with `<null>`.

    Unlike an empty prediction, an empty reference stays empty.
    """
    lines = [detokenise(one_line(text).lower()) for text in texts[:OFFICIAL_REFERENCES]]
    first, second, third = lines + [NULL] * (OFFICIAL_REFERENCES - len(lines))
    return first, second, third


def one_line(text: str) -> str:
    """The text with a blank for each line break and tab: the official files have a line per text and cannot hold one.

    The official scripts stop at them; a model's prediction should be scored all the same.
    """
    return _LINE_BREAKS.sub(" ", text)


def _tokenise(prediction: str, references: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    return tokens_13a(official_prediction(prediction)), [tokens_13a(line) for line in official_references(references)]


# ToTTo's evaluation (Parikh et al. 2020; google-research/language, totto_eval.sh): sacrebleu's defaults on the official
# lines. A placeholder `<null>` counts as a reference, of three tokens.
BLEU_TOTTO_OFFICIAL = corpus_bleu(
    "bleu_totto_official",
    "BLEU (official)",
    OFFICIAL_MEANING,
    label=f"convention:totto_official|refs:first{OFFICIAL_REFERENCES},else{NULL}|text:lower,moses-detokenised",
    statistics=bleu_statistics(_tokenise),
    references=OFFICIAL_REFERENCES,
)
