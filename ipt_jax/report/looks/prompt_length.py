"""Score and variance of PT and IPT against the number of prompt rows: the curves, and a test at each length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipt_jax.report.reading.kinds import IPT, PT, Kind
from ipt_jax.report.reading.methods import Setting
from ipt_jax.report.reading.statistics import Ratio, Spread, brown_forsythe, deviation_ratio, spread


@dataclass(frozen=True)
class Length:
    """PT and IPT with one number of prompt rows.

    Attributes:
      scores: `PT` and `IPT` → score over the seeds; one of the two may be missing.
      ratio: standard deviation of PT over that of IPT, where both have at least three seeds.
      p_value: of equal variances, by Brown and Forsythe, uncorrected.
    """

    rows: int
    scores: Mapping[Kind, Spread]
    ratio: Ratio | None
    p_value: float | None


def prompt_lengths(setting: Setting) -> list[Length]:
    """Rising; [] unless PT or IPT has at least two lengths."""
    found = scores_by_length(setting)
    if max(map(len, found.values())) < 2:
        return []
    lengths = []
    for rows in sorted({rows for by_length in found.values() for rows in by_length}):
        here = {kind: by_length[rows] for kind, by_length in found.items() if rows in by_length}
        both = tuple(here.values()) if len(here) == 2 else None
        lengths.append(
            Length(
                rows,
                {kind: spread(scores) for kind, scores in here.items()},
                deviation_ratio(*both) if both else None,
                brown_forsythe(*both) if both else None,
            )
        )
    return lengths


def scores_by_length(setting: Setting) -> dict[Kind, dict[int, list[float]]]:
    """`PT` and `IPT` → prompt rows → the score of each seed."""
    found: dict[Kind, dict[int, list[float]]] = {PT: {}, IPT: {}}
    for method in setting.methods:
        if (kind := method.kind) in found:
            found[kind][method.prompt_tokens] = method.scores
    return found
