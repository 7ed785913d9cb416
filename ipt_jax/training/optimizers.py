"""Optimisers and learning-rate schedules by name; a member's own learning rate multiplies what they give."""

from __future__ import annotations

import optax

from ipt_jax.errors import InputError

OPTIMIZERS = ("adamw", "adafactor", "sgd")
SCHEDULES = ("linear", "cosine", "constant")


def make_optimizer(
    name: str, *, weight_decay: float, clip_norm: float, momentum: float = 0.0
) -> optax.GradientTransformation:
    """The direction in which a prompt goes down; a step is `-learning rate × direction`.

    The learning rate stays outside because each member of a population brings its own. Weight decay is decoupled
    (arXiv 1711.05101) in all three: it is added after the gradient was scaled.

    Args:
      name: `adamw`; `adafactor` as prompt tuning used it (arXiv 2104.08691, section 3: no scaling by the size of
        the parameters); `sgd`.
      clip_norm: largest global norm of the gradient.
      momentum: of `sgd`; the others ignore it.

    Raises:
      InputError: the name is unknown.
    """
    scalings = {
        "adamw": optax.scale_by_adam,
        "adafactor": lambda: optax.chain(optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0)),
        "sgd": lambda: optax.trace(momentum) if momentum else optax.identity(),
    }
    if name not in scalings:
        raise InputError(f"training.optimizer={name!r} is unknown; choose one of {', '.join(OPTIMIZERS)}")
    return optax.chain(optax.clip_by_global_norm(clip_norm), scalings[name](), optax.add_decayed_weights(weight_decay))


def make_schedule(name: str, *, warmup_steps: int, steps: int) -> optax.Schedule:
    """The factor on a member's learning rate: a linear rise to 1, then what the schedule is named for.

    `linear` and `cosine` fall to 0 after `steps`, `constant` stays at 1.

    Raises:
      InputError: the name is unknown.
    """
    warmup_steps = min(warmup_steps, steps - 1)
    left = steps - warmup_steps
    tails = {
        "linear": lambda: optax.linear_schedule(1.0, 0.0, left),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, left),
        "constant": lambda: optax.constant_schedule(1.0),
    }
    if name not in tails:
        raise InputError(f"training.schedule={name!r} is unknown; choose one of {', '.join(SCHEDULES)}")
    rise = optax.linear_schedule(1 / (warmup_steps + 1), 1.0, warmup_steps)
    return optax.join_schedules([rise, tails[name]()], [warmup_steps])
