"""What a metric is: a row of numbers for each example, and the scores that follow from such rows and their sums."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Rows: TypeAlias = "np.ndarray"  # f64[N, S], what each of N examples adds
Sums: TypeAlias = "np.ndarray"  # f64[S], one row, or the sum of some


class Judged(Protocol):
    """What a metric reads of an example; see `ipt_jax.tasks.base.Example`."""

    id: str
    references: Sequence[str]
    details: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number that a task reports, from 0 to 100.

    All of them are functions of sums over examples: a mean has rows (score, 1), BLEU the counts of its n-grams. So
    a corpus, a subset and a bootstrap's draw are scored from the same rows, each computed once.

        >>> longer = Metric(
        ...     "longer", "longer", "", "convention:longer",
        ...     lambda predictions, examples: scored([100.0 * (len(text) > 3) for text in predictions]),
        ...     corpus=mean(0), per_example=mean(0),
        ... )
        >>> rows = longer.statistics(["a bird", "cat"], [])
        >>> [longer.per_example(row) for row in rows], longer.corpus(total(rows))
        ([100.0, 0.0], 50.0)

    Attributes:
      name: its key among the scores in result.json.
      title: what it is called in tables.
      meaning: what its convention stands for, as it continues the title in a note; empty where the title says it all.
      signature: everything that can change the value besides the texts: convention, settings, version. A function of
        the examples where it depends on them; empty where another metric's stands for it.
      statistics: (N predictions, N examples) → f64[N, S], what each example adds. Metrics with the same function share
        what it returns. None where the examples lack what it needs, such as their databases: the metric is left out.
      corpus: f64[S], the sum of some examples' rows → their score; None for a metric of single texts alone.
      per_example: f64[S], one row → the score of its text, None where this one has none; None for a metric that says
        nothing about single texts.
    """

    name: str
    title: str
    meaning: str
    signature: str | Callable[[Sequence[Judged]], str]
    statistics: Callable[[Sequence[str], Sequence[Judged]], Rows | None]
    corpus: Callable[[Sums], float] | None = None
    per_example: Callable[[Sums], float | None] | None = None

    def signature_of(self, examples: Sequence[Judged]) -> str:
        return self.signature(examples) if callable(self.signature) else self.signature

    def of_texts(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """The score of a corpus whose examples are nothing but the texts to be judged by.

        Raises:
          ValueError: as `check_examples`.
        """
        examples = [_Texts(texts) for texts in references]
        check_examples(predictions, examples)
        return self.corpus(total(self.statistics(predictions, examples)))


@dataclasses.dataclass(frozen=True)
class _Texts:
    references: Sequence[str]
    id: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def check_examples(predictions: Sequence[str], examples: Sequence[Judged]) -> None:
    """Raises ValueError: no predictions, another number of examples, or an example without a reference."""
    if len(predictions) != len(examples) or not predictions:
        raise ValueError(f"{len(predictions)} predictions, {len(examples)} examples: give one of each, at least one")
    for index, example in enumerate(examples):
        if isinstance(example.references, str) or not example.references:
            raise ValueError(f"example {index} needs a list of at least one reference, not {example.references!r}")


def total(rows: Rows) -> Sums:
    """f64[S], the sum of f64[N, S], rounded once: it does not depend on the order of the examples."""
    import numpy as np  # here and below: commands that list the tasks start twice as fast without it

    return np.array([math.fsum(column) for column in rows.T])


def scored(scores: Sequence[float] | Sequence[Sequence[float]]) -> Rows:
    """The rows of means: f64[N, K + 1] of N examples' K scores (or of one each), and a 1 that counts the example."""
    import numpy as np

    return np.column_stack([np.asarray(scores, np.float64), np.ones(len(scores))])


def mean(column: int) -> Callable[[Sums], float]:
    """The mean of a column of `scored` rows, from their sum; of a single row it is the score itself."""
    return lambda sums: float(sums[column] / sums[-1])
