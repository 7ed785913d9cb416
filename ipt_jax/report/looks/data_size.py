"""The score against the number of training examples, for methods that differ in nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.statistics import Spread, spread


@dataclass(frozen=True)
class Learned:
    """A method by how many training examples it has seen.

    Attributes:
      method: of its kind, any one.
      label: of its kind, with prompt rows where kinds have several.
      points: training examples → the score over the seeds; rising.
      flop: training examples → the arithmetic of training, mean over the seeds; None where a result does not say it.
    """

    method: Method
    label: str
    points: dict[int, Spread]
    flop: dict[int, float | None]


def by_data_size(setting: Setting) -> list[Learned]:
    """Kinds of method that were run with at least two numbers of training examples; [] without any.

    Retrieval learns from more examples, too: it finds nearer ones. A number of 0 stands for the whole split, whose size
    is what the training says that it saw.
    """
    found: dict[tuple, dict[int, list[Method]]] = defaultdict(lambda: defaultdict(list))
    for method in setting.methods:
        if seen := _seen(method):
            found[method.kind, method.prompt_tokens][seen].append(method)
    several = {
        key: sizes for key, sizes in found.items() if len(sizes) > 1 and all(len(m) == 1 for m in sizes.values())
    }
    rows = {tokens for _, tokens in several if tokens}
    return [
        Learned(
            next(iter(sizes.values()))[0],
            f"{kind.label}, {tokens} rows" if tokens and len(rows) > 1 else kind.label,
            {size: spread(sizes[size][0].scores) for size in sorted(sizes)},
            {size: _flop(sizes[size][0]) for size in sorted(sizes)},
        )
        for (kind, tokens), sizes in several.items()
    ]


def _seen(method: Method) -> int:
    """Training examples that a method learns from, or finds demonstrations in; 0 where that is none, or not known."""
    limit = (method.result.get("limit") or {}).get("train")
    if limit is None:
        return 0
    return limit or method.runs[0].training.get("examples") or 0


def _flop(method: Method) -> float | None:
    known = [(run.result.get("arithmetic") or {}).get("train") for run in method.runs]
    return None if None in known else sum(known) / len(known)
