"""What every corpus metric asks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence


def check_corpus(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raises ValueError: no predictions, another number of references, or an example without one."""
    if len(predictions) != len(references) or not predictions:
        raise ValueError(f"{len(predictions)} predictions, {len(references)} lists of references: give one of each")
    for index, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise ValueError(f"example {index} needs a list of at least one reference text, not {texts!r}")
