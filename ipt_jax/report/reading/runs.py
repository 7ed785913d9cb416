"""One run as a report reads it, and what makes two runs repetitions of one method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LEARNING_RATE = "training.learning_rate"
# Leaves of run.json that do not make a method another one: names, where things lay, and what a setting tells apart.
_PLACES = ("name", "data_dir", "model_fingerprint", _LEARNING_RATE)


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
      result: result.json.
      config: run.json, or {} when it is missing.
      metrics: rows of metrics.jsonl.
      predictions: rows of predictions.jsonl.
    """

    result: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    predictions: Sequence[Mapping[str, Any]] = ()

    @property
    def id(self) -> str:
        return self.result["run"]

    @property
    def seed(self) -> int:
        return self.result.get("seed") or 0

    @property
    def training(self) -> Mapping[str, Any]:
        """How it was trained and what came of it; {} where nothing was trained."""
        return self.result.get("training") or {}

    @property
    def trained(self) -> bool:
        return bool(self.training)

    @property
    def learning_rate(self) -> float | None:
        return self.training.get("learning_rate")

    @property
    def answers(self) -> int:
        return self.result.get("examples") or len(self.predictions)

    @property
    def empty(self) -> int | None:
        """How many answers are empty; counted where an older version did not, None without predictions."""
        if (recorded := self.result.get("empty")) is not None:
            return recorded
        answers = [row["prediction"] for row in self.predictions if "prediction" in row]
        return sum(not answer.strip() for answer in answers) if answers else None


@dataclass(frozen=True)
class Unscored:
    """A run without a result.

    Attributes:
      id: its folder's name.
      config: run.json, or {} when it is missing.
      failed_step: the step at which a run's loss stopped being finite; None for one that is not finished.
    """

    id: str
    config: Mapping[str, Any]
    failed_step: int | None

    @property
    def seed(self) -> int:
        return self.config.get("seed") or 0

    @property
    def learning_rate(self) -> float | None:
        return flatten(self.config).get(_LEARNING_RATE)


def identity(run: Run) -> dict[str, Any]:
    """What runs of one method share: every leaf of run and result but seeds, names for people and the learning rate."""
    shown = ("method", "prompt_tokens", "demonstrations", "retriever", "attention")
    adapter = run.result.get("adapter") or "prompt"  # which results did not say while there was no other
    return resolved(run) | {key: run.result.get(key) for key in shown} | {"adapter": adapter}


def resolved(run: Run | Unscored) -> dict[str, Any]:
    """The part of the identity that is known before a run has a result.

    A prompt that was taken from another run comes from a run of the same seed; `method` says from which kind of run.
    """
    return {
        key: value
        for key, value in flatten(run.config).items()
        if key not in _PLACES
        and key.rpartition(".")[2] not in ("seed", "run")
        and not (key == "prompt.source" and str(value).startswith("run:"))
    }


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'model': {'dtype': 'float32'}} → {'model.dtype': 'float32'}."""
    leaves = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
