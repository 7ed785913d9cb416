"""Scores by how similar the demonstration is to the input: the paper's six bins, and bins of equally many examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.paper import MAIN_TABLE_ROWS

BINS = 6


@dataclass(frozen=True)
class Bin:
    """Examples whose demonstration is about as similar.

    Attributes:
      low, high: similarities between which they lie; `high` belongs to the bin, `low` to the one below.
      examples: how many.
      scores: method label → mean score per example (over seeds, then over examples); None of an empty bin.
    """

    low: float
    high: float
    examples: int
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class BySimilarity:
    """The bins of a setting, most similar first, over the examples that all its methods have a score of.

    Attributes:
      guide: the method whose demonstration the similarity is that of.
      equal_width, quantiles: the range cut into six equal parts, and the examples cut into six equal shares.
    """

    guide: str
    equal_width: tuple[Bin, ...]
    quantiles: tuple[Bin, ...]


def by_similarity(setting: Setting) -> BySimilarity | None:
    """Bins by the one retrieved demonstration of IPT, or without one of ICL; None where there is none.

    Methods without demonstrations are looked at on the same examples. Of a sweep over prompt lengths, one is shown: one
    that other tuned methods share, the main table's of the paper before longer ones, and those before shorter ones.
    """
    own = [method for method in setting.methods if not method.result.get("prompt_source")]
    guides = [method for method in own if method.demonstrations == 1 and method.retrieved]
    alike = Counter(method.prompt_tokens for method in own if method.prompt_tokens)
    guides.sort(
        key=lambda m: (alike[m.prompt_tokens], m.prompt_tokens == MAIN_TABLE_ROWS, m.prompt_tokens), reverse=True
    )
    for guide in guides:
        similarity = similarities(guide)
        if similarity:
            break
    else:
        return None
    beside = [
        m for m in own if not m.kind.prompted or not guide.kind.prompted or m.prompt_tokens == guide.prompt_tokens
    ]
    scores = {method.label: method.example_scores for method in beside}
    scores = {label: found for label, found in scores.items() if found}
    shared = [id for id in similarity if all(id in found for found in scores.values())]
    if len(shared) < BINS:
        return None
    values = np.array([similarity[id] for id in shared])
    columns = {label: np.array([found[id] for id in shared]) for label, found in scores.items()}
    widths = np.linspace(values.min(), values.max(), BINS + 1)
    shares = np.quantile(values, np.linspace(0, 1, BINS + 1))
    return BySimilarity(guide.label, _bins(values, columns, widths), _bins(values, columns, shares))


def _bins(values: np.ndarray, columns: Mapping[str, np.ndarray], edges: Sequence[float]) -> tuple[Bin, ...]:
    """Each value in one bin; the least one in the lowest. Edges that coincide give an empty bin."""
    place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    bins = []
    for i in reversed(range(len(edges) - 1)):
        inside = place == i
        means = {label: float(column[inside].mean()) if inside.any() else None for label, column in columns.items()}
        bins.append(Bin(float(edges[i]), float(edges[i + 1]), int(inside.sum()), means))
    return tuple(bins)


def similarities(method: Method) -> dict[str, float]:
    """Example id → similarity of its demonstration, in any of the runs: retrieval does not depend on the seed."""
    return {
        row["id"]: shown[0]["similarity"]
        for row in method.runs[0].predictions
        if len(shown := row.get("demonstrations") or []) == 1 and shown[0].get("similarity") is not None
    }
