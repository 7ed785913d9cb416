"""How prompts are moved: steps, optimizer, schedule. Frozen and hashable, so that it can be static to `jax.jit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import optax

from ipt_jax.training.optimizers import make_optimizer, make_schedule


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What all members of a population share beside their data; a learning rate is a member's own.

    Attributes:
      steps, warmup_steps, schedule: see `optimizers.make_schedule`.
      optimizer, options: see `optimizers.make_optimizer`; the options as pairs, in the order of their names.
      weight_decay, clip_norm: of the optimizer, applied per member.
      accumulate: parts that a batch is cut into and run one after another; the gradient is that of the whole batch.
    """

    steps: int
    warmup_steps: int = 0
    schedule: str = "linear"
    optimizer: str = "adamw"
    options: tuple[tuple[str, Any], ...] = ()
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    accumulate: int = 1

    def make_optimizer(self) -> optax.GradientTransformation:
        """The direction of a member's step."""
        return make_optimizer(
            self.optimizer, weight_decay=self.weight_decay, clip_norm=self.clip_norm, options=dict(self.options)
        )

    def make_schedule(self) -> optax.Schedule:
        """Step → the factor on a member's learning rate."""
        return make_schedule(self.schedule, warmup_steps=self.warmup_steps, steps=self.steps)


def recipe_of(training: Any) -> Recipe:
    """The recipe that a run's `training` settings mean."""
    return Recipe(
        training.steps,
        training.warmup_steps,
        training.schedule,
        training.optimizer,
        options_of(training.optimizer, training.momentum, training.optimizer_options),
        training.weight_decay,
        training.clip_norm,
        training.accumulate,
    )


def options_of(optimizer: str, momentum: float, options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """All options of an optimizer: `training.momentum` is one of `sgd`.

    >>> options_of("sgd", 0.9, {}), options_of("lion", 0.9, {"b2": 0.98})
    ((('momentum', 0.9),), (('b2', 0.98),))
    """
    own = {"momentum": momentum} if optimizer == "sgd" and momentum else {}
    return tuple(sorted({**own, **options}.items()))
