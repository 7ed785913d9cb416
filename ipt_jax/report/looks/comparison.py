"""Two methods on the same examples: the difference with its interval and p-value, and the verdict that they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.report.reading.methods import Method
from ipt_jax.report.reading.resampling import effect_of
from ipt_jax.report.reading.statistics import (
    Difference,
    Effect,
    Spread,
    approximate_randomisation,
    holm,
    paired_bootstrap,
    spread,
)

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "open"
FOUND = "Could have found"  # the head of the smallest true effect that four of five such studies find
LEVEL = 0.05  # of p-values that are corrected for their number
MOST = 100.0  # points: no two scores are farther apart


@dataclass(frozen=True)
class Comparison:
    """A method against another.

    Attributes:
      ours, theirs: scores of the whole split over the seeds.
      examples: differences of the scores per example, each averaged over the seeds; None where fewer than two examples
        have scores of both.
      p_value: of "both are alike", not corrected: the larger of that of approximate randomisation over those examples,
        and that of `effect`.
      effect: the difference of the scores of the whole split, over seeds and examples; None where it cannot be
        computed.
    """

    ours: Spread
    theirs: Spread
    examples: Difference | None
    p_value: float | None
    effect: Effect | None = None

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
      tests: how many comparisons were made together.
    """

    comparison: Comparison
    p_value: float | None
    verdict: str
    tests: int = 1

    @property
    def detectable(self) -> float | None:
        """The true difference of the split's scores that such a study would have found in 4 of 5 cases, corrected for
        the number of tests as the smallest of their p-values is."""
        found = self.comparison.effect
        return None if found is None else found.detectable(LEVEL / self.tests)


def compare(contender: Method, baseline: Method) -> Comparison:
    """A claim about the contender, tested on the examples that both methods have scores of."""
    scores = [spread(method.scores) for method in (contender, baseline)]
    ours, theirs = contender.example_scores, baseline.example_scores
    shared = [example for example in theirs if example in ours]
    if len(shared) < 2:
        return Comparison(*scores, None, None)
    columns = [ours[example] for example in shared], [theirs[example] for example in shared]
    p_value, found = approximate_randomisation(*columns), effect_of(contender.runs, baseline.runs)
    p_value = p_value if found is None else max(p_value, found.p_value)
    return Comparison(*scores, paired_bootstrap(*columns), p_value, found)


def judge(comparisons: Sequence[Comparison]) -> list[Judged]:
    """Verdicts on comparisons that are made together."""
    tested = [c.p_value for c in comparisons if c.p_value is not None]
    corrected = iter(holm(tested) if tested else [])
    judged = []
    for comparison in comparisons:
        p_value = None if comparison.p_value is None else next(corrected)
        judged.append(Judged(comparison, p_value, verdict(comparison, p_value), max(1, len(tested))))
    return judged


def verdict(comparison: Comparison, p_value: float | None) -> str:
    """A claim needs all: small p-values, an interval away from zero, a score of the split on the same side."""
    if p_value is None or p_value >= LEVEL:
        return OPEN
    if comparison.examples.low > 0 and comparison.difference > 0:
        return SUPPORTED
    return CONTRADICTED if comparison.examples.high < 0 and comparison.difference < 0 else OPEN


def compared_header(ours: str, theirs: str) -> list[str]:
    """The heads over `compared_cells`."""
    return [ours, theirs, "Difference, 95 % interval", "Per example", "Corrected p", FOUND, "Examples"]


def compared_cells(judged: Judged) -> list[str]:
    """Both scores with their seeds, the difference of the split's scores over seeds and examples, that of the examples'
    own, the p-value, the smallest difference that would have been found, and the number of examples, for a table."""
    comparison = judged.comparison
    scores, examples = [_seeded(comparison.ours), _seeded(comparison.theirs)], comparison.examples
    if examples is None:
        return [*scores, "–", "–", "–", "–", "–"]
    whole = _interval(comparison.effect) if comparison.effect else signed(comparison.difference)
    found = "–" if judged.detectable is None else f"{judged.detectable:.1f}" if judged.detectable < MOST else "nothing"
    return [*scores, whole, _interval(examples), p_text(judged.p_value), found, f"{examples.n:,}"]


def _interval(found: Difference | Effect) -> str:
    return f"{signed(found.mean)}, {signed(found.low)} to {signed(found.high)}"


def _seeded(score: Spread) -> str:
    """'24.2 ± 1.6 (3)': with the number of its seeds."""
    return str(score) if score.n == 1 else f"{score} ({score.n})"


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
