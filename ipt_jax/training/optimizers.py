"""Optimisers and learning-rate schedules by name; a member's own learning rate multiplies what they give."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ipt_jax.errors import InputError

SCHEDULES = ("linear", "cosine", "constant")
# Those whose weight decay, or size of a step, is not what optax's function of that name makes of it.
_OURS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adamw": optax.scale_by_adam,
    "adafactor": lambda **options: optax.chain(optax.scale_by_factored_rms(**options), optax.clip_by_block_rms(1.0)),
    "sgd": lambda momentum=0.0: optax.trace(momentum) if momentum else optax.identity(),
}
_RATE, _DECAY = "learning_rate", "weight_decay"  # settings of their own, as they are for every optimizer


def make_optimizer(
    name: str, *, weight_decay: float, clip_norm: float, options: Mapping[str, Any] | None = None
) -> optax.GradientTransformation:
    """The direction in which a prompt goes down; a step is `-learning rate × direction`.

    The learning rate stays outside because each member of a population brings its own. Weight decay is decoupled
    (arXiv 1711.05101) for all of them: it is added after the gradient was scaled.

    Args:
      name: `adamw`; `adafactor` as prompt tuning used it (arXiv 2104.08691, section 3: no scaling by the size of
        the parameters); `sgd`; or any function of optax that makes an optimizer of a learning rate, such as `lion`.
      clip_norm: largest global norm of the gradient.
      options: keyword arguments of optax's function: `{"b2": 0.99}`; of `adafactor` those of
        `optax.scale_by_factored_rms`, of `sgd` `momentum`.

    Raises:
      InputError: as `check_optimizer`.
    """
    check_optimizer(name, options or {})
    return optax.chain(
        optax.clip_by_global_norm(clip_norm), _scaling(name, options or {}), optax.add_decayed_weights(weight_decay)
    )


def check_optimizer(name: str, options: Mapping[str, Any]) -> None:
    """Raises an InputError for a name or an option that there is not, or an optimizer that does not fit.

    What fits takes a step that is proportional to its learning rate and asks for gradients alone: members of a
    population have rates of their own. It is tried on a few numbers.
    """
    try:
        _check(name, tuple(sorted(options.items())))
    except TypeError as error:  # a value that nothing can be looked up by
        raise InputError(f"training.optimizer_options={dict(options)!r}: {error}") from error


@functools.cache
def _check(name: str, options: tuple[tuple[str, Any], ...]) -> None:
    given = dict(options)
    known = _OURS.get(name) or _of_optax(name)
    if known is None:
        names = sorted({*_OURS, *filter(_of_optax, dir(optax))})
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose adamw, adafactor, sgd, or an optimizer of optax"
        raise InputError(f"training.optimizer={name!r} is unknown; {hint}")
    place = f"training.optimizer={name!r} with training.optimizer_options={given!r}"
    taken = {"adafactor": optax.scale_by_factored_rms}.get(name, known)
    allowed = [option for option in inspect.signature(taken).parameters if option not in (_RATE, _DECAY)]
    if strange := [option for option in given if option not in allowed]:
        raise InputError(f"{place}: {', '.join(strange)} is no option of it; there are: {', '.join(allowed)}")
    if name in _OURS:
        try:
            _OURS[name](**given)
        except (TypeError, ValueError) as error:
            raise InputError(f"{place}: {error}") from error
        return
    try:
        once, twice = (_three_steps(_of_optax(name)(rate, **_arguments(name, given))) for rate in (0.5, 1.0))
    except Exception as error:  # what optax and jax raise for arguments that do not fit, and for more than gradients
        raise InputError(f"{place} cannot be used ({str(error).partition(chr(10))[0]})") from error
    if not np.allclose(2 * once, twice, rtol=1e-4, atol=1e-9):
        raise InputError(f"{place} takes steps that are not proportional to the learning rate; choose another")


def _of_optax(name: str) -> Callable[..., optax.GradientTransformation] | None:
    """The function of that name that makes an optimizer of a learning rate."""
    found = getattr(optax, name, None) if name.isidentifier() and not name.startswith("_") else None
    if not inspect.isfunction(found):
        return None
    return found if next(iter(inspect.signature(found).parameters), "") == _RATE else None


def _arguments(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """With the optimizer's own weight decay, where it has one, left to ours."""
    decays = _DECAY in inspect.signature(_of_optax(name)).parameters
    return {**({_DECAY: 0.0} if decays else {}), **options}


def _scaling(name: str, options: Mapping[str, Any]) -> optax.GradientTransformation:
    if name in _OURS:
        return _OURS[name](**options)
    return optax.chain(_of_optax(name)(1.0, **_arguments(name, options)), optax.scale(-1.0))


def _three_steps(optimizer: optax.GradientTransformation) -> np.ndarray:
    params = jnp.array([[0.5, -1.0], [2.0, 0.25]])
    state, moves = optimizer.init(params), []
    for scale in (1.0, -0.5, 2.0):
        move, state = jax.jit(optimizer.update)(scale * params**3, state, params)
        moves.append(np.asarray(move))
    return np.stack(moves)


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
