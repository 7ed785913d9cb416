"""The statistics of the report: spreads over seeds, paired tests over examples, comparisons of variances."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # which imports scipy.stats on first use: every command would wait a second for it

BOOTSTRAP_SAMPLES = 10_000
_CHUNK = 200_000  # draws held in full precision at once: they stay in the cache of a core


@dataclass(frozen=True)
class Spread:
    """The mean of n values and their sample standard deviation (divisor n - 1), None for a single value."""

    mean: float
    deviation: float | None
    n: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean by Student's t; None for a single value."""
        if self.deviation is None:
            return None
        reach = float(scipy.stats.t.ppf(0.975, self.n - 1)) * self.deviation / self.n**0.5
        return self.mean - reach, self.mean + reach

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.deviation is None else f"{self.mean:.1f} ± {self.deviation:.1f}"


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation of at least one value."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences over n examples, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Effect:
    """A difference between two methods, judged by both sources of chance: the seeds that were run, and the examples.

    Attributes:
      mean: of the scores of the whole split, each averaged over its seeds.
      low, high: its 95 % interval.
      p_value: two-sided, of "both are alike".
      error: the standard error of the difference.
      freedom: degrees of freedom of the t distribution that the three above are of.
    """

    mean: float
    low: float
    high: float
    p_value: float
    error: float
    freedom: float

    def detectable(self, level: float = 0.05, power: float = 0.8) -> float:
        """The smallest true difference that such a test would have found with this power, at this level."""
        found = scipy.stats.t.ppf([1 - level / 2, power], self.freedom)
        return float(found.sum()) * self.error


def effect(a: Sequence[float], b: Sequence[float], of_examples: float, n: int) -> Effect | None:
    """The difference of two methods' mean scores over other seeds and other examples than those that were run.

    Seeds and examples are crossed: every seed was evaluated on the same examples. The variance of the difference is the
    sum of three: between the seeds of either method, each divided by their number, and over the examples with the seeds
    held. Its degrees of freedom are Satterthwaite's (1946), with which a t distribution covers a handful of seeds. A
    nested bootstrap (seeds, then examples) does not: of three seeds it can only draw these three, and where seeds
    matter its 95 % interval covers far less, as the simulation in the tests shows.

    Args:
      a, b: the score of the whole split of each seed. A single one adds no variance: that of a method without chance
        of its own, or, of one that has, a verdict about this seed alone.
      of_examples: the variance of the mean difference over examples, such as that of its bootstrap.
      n: examples.

    Returns:
      None where nothing varies.
    """
    parts = [(float(np.var(each, ddof=1)) / len(each), len(each) - 1) for each in (a, b) if len(each) > 1]
    parts.append((of_examples, n - 1))
    total = sum(part for part, _ in parts)
    if not total > 0:
        return None
    freedom = total**2 / sum(part**2 / free for part, free in parts)
    mean, error = float(np.mean(a) - np.mean(b)), total**0.5
    reach = float(scipy.stats.t.ppf(0.975, freedom)) * error
    p_value = 2 * float(scipy.stats.t.sf(abs(mean) / error, freedom))
    return Effect(mean, mean - reach, mean + reach, p_value, error, freedom)


def paired_bootstrap(a: Sequence[float], b: Sequence[float], samples: int = BOOTSTRAP_SAMPLES) -> Difference:
    """The mean of a - b with the 95 % percentile interval of its paired bootstrap.

    Examples are drawn with replacement, both scores of an example together (Efron and Tibshirani 1993,
    section 13; for BLEU: Koehn 2004). The draws have a fixed seed: the same scores give the same interval.

    Args:
      a: f64[n], the score of one method on each example, n of at least 2.
      b: f64[n], the score of another method on the same examples, in the same order.
      samples: number of resamples.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    n = len(differences)
    if n < 2:
        raise ValueError(f"a bootstrap over {n} examples has no interval")
    means = resampled_sums(differences[:, None], samples)[:, 0] / n
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(differences.mean()), float(low), float(high), n)


def resampled_sums(values: np.ndarray, samples: int = BOOTSTRAP_SAMPLES) -> np.ndarray:
    """The sums f64[samples, m] of f64[n, m] over n examples that are drawn with replacement, alike in every column.

    The draws have a fixed seed: those of the same number of examples are the same.
    """
    return np.concatenate([counts @ values for counts in _chunks(_resamples(len(values), samples))])


def approximate_randomisation(a: Sequence[float], b: Sequence[float], samples: int = BOOTSTRAP_SAMPLES) -> float:
    """The two-sided p-value of "both methods are alike": how often differences are as far from zero by chance.

    Under it the two scores of an example may be exchanged, which turns the sign of their difference (Noreen 1989,
    section 2.2; for translation: Riezler and Maxwell 2005). The draws have a fixed seed.

    Args:
      a, b: f64[n] each, the scores of two methods on the same examples, in the same order.
      samples: number of random exchanges; the smallest p-value is 1 / (samples + 1).
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    observed = abs(differences.sum()) * (1 - 1e-12)  # rounding is no difference
    exchanged = _chunks(_signs(len(differences), samples))
    as_far = sum(int((np.abs(signs @ differences) >= observed).sum()) for signs in exchanged)
    return (as_far + 1) / (samples + 1)


# All pairs of methods of a setting have the same number of examples, and the draws have a fixed seed: they are made
# once, a byte each, and kept until another number is asked for.
@functools.lru_cache(maxsize=1)
def _resamples(n: int, samples: int) -> np.ndarray:
    """u8[samples, n]: how often each of n examples is drawn. A byte holds it: beyond 255 of one are never drawn."""
    rng = np.random.default_rng(0)
    counts = np.empty((samples, n), np.uint8)
    for part in _chunks(counts):
        cells = rng.integers(n, size=part.shape) + np.arange(len(part))[:, None] * n
        part[:] = np.bincount(cells.ravel(), minlength=part.size).reshape(part.shape)
    return counts


@functools.lru_cache(maxsize=1)
def _signs(n: int, samples: int) -> np.ndarray:
    """i8[samples, n]: 1 or -1, each as often."""
    return np.random.default_rng(0).integers(0, 2, size=(samples, n), dtype=np.int8) * 2 - 1


def _chunks(array: np.ndarray) -> list[np.ndarray]:
    """Consecutive rows, as many at a time as may be held in full precision."""
    rows = max(1, _CHUNK // max(array.shape[1], 1))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in the order given (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate([(len(order) - rank) * p_values[i] for rank, i in enumerate(order)])
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(raised, 1.0)
    return [float(p) for p in corrected]


def brown_forsythe(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The p-value of "both have the same variance", by distances from the medians (Brown and Forsythe 1974).

    None where a group has fewer than three values, or no value differs from another.
    """
    if min(len(a), len(b)) < 3 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return None
    return float(scipy.stats.levene(a, b, center="median").pvalue)


@functools.lru_cache
def detectable_ratio(n: int, m: int, level: float = 0.05, power: float = 0.8, studies: int = 4000) -> float | None:
    """The smallest true ratio of deviations that Brown and Forsythe's test would have found with this power.

    By simulation: normal values, those of the first group spread more and more, until the share of studies that find it
    is reached. The draws have a fixed seed.

    Args:
      n, m: values of the group with the larger deviation, and of the other; at least 3.

    Returns:
      None where not even a ratio of 100 is found, as with three values each.
    """
    rng = np.random.default_rng(0)
    drawn = (rng.standard_normal((studies, size)) for size in (n, m))
    wide, narrow = (np.abs(x - np.median(x, axis=1, keepdims=True)) for x in drawn)
    threshold = scipy.stats.f.isf(level, 1, n + m - 2)

    def share(ratio: float) -> float:
        a, b = ratio * wide, narrow
        apart = (a.mean(axis=1) - b.mean(axis=1)) ** 2 * n * m / (n + m)
        within = (a.var(axis=1) * n + b.var(axis=1) * m) / (n + m - 2)
        return float(np.mean(apart > threshold * within))

    low, high = 1.0, 100.0
    if share(high) < power:
        return None
    while high - low > 0.005 * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if share(middle) >= power else (middle, high)
    return high


def detectable_correlation(n: int, level: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest true rank correlation of n pairs that a two-sided test would have found with this power.

    By Fisher's transformation, with the variance 1.06 / (n - 3) that Spearman's has (Fieller and others 1957);
    None of fewer than four pairs.
    """
    if n < 4:
        return None
    reach = scipy.stats.norm.ppf([1 - level / 2, power]).sum() * (1.06 / (n - 3)) ** 0.5
    return float(np.tanh(reach))


@dataclass(frozen=True)
class Ratio:
    """The quotient of two standard deviations, with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def deviation_ratio(a: Sequence[float], b: Sequence[float], samples: int = BOOTSTRAP_SAMPLES) -> Ratio | None:
    """The standard deviation of `a` over that of `b`, each group drawn again with replacement.

    None where a group has fewer than three values or `b` has no deviation. With a handful of seeds the interval is
    wide, as it should be. Draws of one value again and again have no deviation; where it is that of `b`, the quotient
    counts as infinite.
    """
    if min(len(a), len(b)) < 3 or np.ptp(b) == 0:
        return None
    rng = np.random.default_rng(0)
    drawn = [np.asarray(x)[rng.integers(len(x), size=(samples, len(x)))].std(axis=1, ddof=1) for x in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(drawn[1] > 0, drawn[0] / drawn[1], np.inf)
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    return Ratio(float(np.std(a, ddof=1) / np.std(b, ddof=1)), float(low), float(high))
