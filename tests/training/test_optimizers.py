"""Optimisers against optax's own, and schedules that start and end where they should."""

import re

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import ELEMENTARY, OPTIMIZER, close

from ipt_jax.errors import InputError
from ipt_jax.training.optimizers import SCHEDULES, make_optimizer, make_schedule

RATE, DECAY, STEPS = 0.1, 0.01, 6
WHOLE = {
    "adamw": optax.adamw(RATE, weight_decay=DECAY),
    "sgd": optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(RATE)),
    # optax adds the decay after the rate, we before it: the same where it is given times the rate.
    "adafactor": optax.adafactor(RATE, multiply_by_parameter_scale=False, weight_decay_rate=DECAY * RATE),
}


def walk(optimizer, rate):
    """The parameters after a few steps down a bent valley."""
    params = {"table": jnp.linspace(-1.0, 2.0, 12).reshape(3, 4)}
    state = optimizer.init(params)
    for _ in range(STEPS):
        gradients = {"table": params["table"] ** 3 * jnp.arange(1.0, 5.0)[None]}
        updates, state = optimizer.update(gradients, state, params)
        params = {"table": params["table"] - rate * updates["table"]}
    return np.asarray(params["table"])


@pytest.mark.parametrize("name", WHOLE)
def test_an_optimizer_times_the_learning_rate_is_optaxs_own(name):
    ours = walk(make_optimizer(name, weight_decay=DECAY, clip_norm=1e9), RATE)
    close(ours, walk(WHOLE[name], -1.0), OPTIMIZER)


def test_momentum_is_that_of_sgd():
    ours = walk(make_optimizer("sgd", weight_decay=0.0, clip_norm=1e9, options={"momentum": 0.9}), 0.01)
    close(ours, walk(optax.sgd(0.01, momentum=0.9), -1.0), OPTIMIZER)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_rises_then_does_what_its_schedule_is_named_for(name):
    factors = [float(make_schedule(name, warmup_steps=4, steps=20)(step)) for step in range(21)]
    assert factors[0] > 0 and factors[:5] == sorted(factors[:5]) and max(factors) == factors[4] == 1.0
    assert factors[4:] == sorted(factors[4:], reverse=True)
    ends = {"linear": (0.5, 0.0), "cosine": (0.5, 0.0), "constant": (1.0, 1.0)}
    close((factors[12], factors[20]), ends[name], ELEMENTARY)
    if name == "cosine":  # slower than a line at first
        assert factors[6] > 1 - 2 / 16


def test_a_warmup_longer_than_the_training_still_rises():
    factors = [float(make_schedule("linear", warmup_steps=9, steps=3)(step)) for step in range(3)]
    close(factors, [1 / 3, 2 / 3, 1.0], ELEMENTARY)


@pytest.mark.parametrize(
    ("name", "options"),
    [("lion", {"b2": 0.9}), ("adam", {}), ("rmsprop", {"decay": 0.8}), ("novograd", {}), ("adafactor", {})],
)
def test_what_optax_makes_of_a_name_and_options_is_taken_and_members_differ_by_their_rate_alone(name, options):
    ours = walk(make_optimizer(name, weight_decay=0.0, clip_norm=1e9, options=options), 0.01)
    made = getattr(optax, name)
    known = {"lion": {"weight_decay": 0.0}, "adafactor": {"multiply_by_parameter_scale": False}}.get(name, {})
    close(ours, walk(made(0.01, **known, **options), -1.0), OPTIMIZER)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lyon", {}, "'lyon' is unknown; did you mean 'lion'?"),
        ("", {}, "'' is unknown; choose adamw, adafactor, sgd, or an optimizer of optax"),
        ("chain", {}, "'chain' is unknown"),
        ("lion", {"b7": 1.0}, "b7 is no option of it; there are: b1, b2"),
        ("lion", {"weight_decay": 1.0}, "weight_decay is no option of it"),
        ("sgd", {"b1": 0.9}, "b1 is no option of it; there are: momentum"),
        ("lion", {"b1": "x"}, "cannot be used"),
        ("adamw", {"b1": [0.9]}, "unhashable"),
        ("lbfgs", {}, "cannot be used"),
        ("fromage", {}, "takes steps that are not proportional to the learning rate"),
    ],
)
def test_an_optimizer_that_cannot_be_used_says_why_before_anything_is_trained(name, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_optimizer(name, weight_decay=0.0, clip_norm=1.0, options=options)


def test_unknown_schedules_list_the_choices():
    with pytest.raises(InputError, match="'wsd' is unknown; choose one of linear, cosine, constant"):
        make_schedule("wsd", warmup_steps=1, steps=2)
