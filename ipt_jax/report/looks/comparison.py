"""Two methods on the same examples: the difference with its interval and p-value, and the verdict that they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.report.reading.methods import Method
from ipt_jax.report.reading.statistics import (
    Difference,
    Spread,
    approximate_randomisation,
    holm,
    paired_bootstrap,
    spread,
)

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "open"
LEVEL = 0.05  # of p-values that are corrected for their number


@dataclass(frozen=True)
class Comparison:
    """A method against another.

    Attributes:
      ours, theirs: scores of the whole split over the seeds.
      examples: differences of the scores per example, each averaged over the seeds; None where fewer than two examples
        have scores of both.
      p_value: of "both are alike", by approximate randomisation over those examples, not corrected.
    """

    ours: Spread
    theirs: Spread
    examples: Difference | None
    p_value: float | None

    @property
    def difference(self) -> float:
        """Of the scores of the whole split."""
        return self.ours.mean - self.theirs.mean


@dataclass(frozen=True)
class Judged:
    """A comparison among others.

    Attributes:
      p_value: corrected by Holm for their number; None where nothing could be tested.
      verdict: on "ours beats theirs": supported, contradicted or open.
    """

    comparison: Comparison
    p_value: float | None
    verdict: str


def compare(contender: Method, baseline: Method) -> Comparison:
    """A claim about the contender, tested on the examples that both methods have scores of."""
    scores = [spread(method.scores) for method in (contender, baseline)]
    ours, theirs = contender.example_scores, baseline.example_scores
    shared = [example for example in theirs if example in ours]
    if len(shared) < 2:
        return Comparison(*scores, None, None)
    columns = [ours[example] for example in shared], [theirs[example] for example in shared]
    return Comparison(*scores, paired_bootstrap(*columns), approximate_randomisation(*columns))


def judge(comparisons: Sequence[Comparison]) -> list[Judged]:
    """Verdicts on comparisons that are made together."""
    tested = [c.p_value for c in comparisons if c.p_value is not None]
    corrected = iter(holm(tested) if tested else [])
    judged = []
    for comparison in comparisons:
        p_value = None if comparison.p_value is None else next(corrected)
        judged.append(Judged(comparison, p_value, verdict(comparison, p_value)))
    return judged


def verdict(comparison: Comparison, p_value: float | None) -> str:
    """A claim needs all three: a small p-value, an interval away from zero, a score of the split on the same side."""
    if p_value is None or p_value >= LEVEL:
        return OPEN
    if comparison.examples.low > 0 and comparison.difference > 0:
        return SUPPORTED
    return CONTRADICTED if comparison.examples.high < 0 and comparison.difference < 0 else OPEN


def compared_header(ours: str, theirs: str) -> list[str]:
    """The heads over `compared_cells`."""
    return [ours, theirs, "Difference per example, 95 % interval", "Corrected p", "Examples"]


def compared_cells(judged: Judged) -> list[str]:
    """Both scores, the difference with its interval, the p-value and the number of examples, for a table."""
    comparison = judged.comparison
    scores, examples = [str(comparison.ours), str(comparison.theirs)], comparison.examples
    if examples is None:
        return [*scores, "–", "–", "–"]
    interval = f"{signed(examples.mean)}, {signed(examples.low)} to {signed(examples.high)}"
    return [*scores, interval, p_text(judged.p_value), f"{examples.n:,}"]


def overall(verdicts: Sequence[str]) -> str:
    """Of a claim that was tested in several places: it needs one that supports it and none that contradicts it."""
    supported, contradicted = SUPPORTED in verdicts, CONTRADICTED in verdicts
    if supported == contradicted:
        return OPEN
    return SUPPORTED if supported else CONTRADICTED


def signed(value: float, digits: int = 1) -> str:
    """'+1.5', or '−0.3' with a true minus."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def p_text(p_value: float | None) -> str:
    """'0.012'; '< 0.001' for what rounds to nothing; a dash where nothing was tested."""
    if p_value is None:
        return "–"
    return "< 0.001" if p_value < 0.0005 else f"{p_value:.3f}"
