"""How prompts are moved, from a run's settings."""

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ipt_jax.training.recipe import Recipe, options_of, recipe_of


def settings(**given):
    whole = {"steps": 8, "warmup_steps": 2, "schedule": "linear", "optimizer": "adamw", "momentum": 0.0}
    whole |= {"optimizer_options": {}, "weight_decay": 0.0, "clip_norm": 1.0, "accumulate": 1}
    return ConfigDict({**whole, **given})


def test_a_recipe_has_what_the_settings_say():
    recipe = recipe_of(settings(optimizer="lion", optimizer_options={"b2": 0.9}, accumulate=2, weight_decay=0.1))
    assert recipe == Recipe(8, 2, "linear", "lion", (("b2", 0.9),), 0.1, 1.0, 2)


def test_equal_settings_give_recipes_that_are_one_key():
    one, other = recipe_of(settings()), recipe_of(settings())
    assert hash(one) == hash(other)


def test_momentum_is_an_option_of_sgd_alone():
    assert options_of("sgd", 0.9, {}) == (("momentum", 0.9),)
    assert options_of("sgd", 0.0, {}) == options_of("adamw", 0.9, {}) == ()


def test_an_option_that_is_given_goes_before_the_setting_of_its_name():
    assert options_of("sgd", 0.9, {"momentum": 0.5, "nesterov": True}) == (("momentum", 0.5), ("nesterov", True))


def test_options_stand_in_the_order_of_their_names():
    assert options_of("adam", 0.0, {"b2": 1, "b1": 2}) == options_of("adam", 0.0, {"b1": 2, "b2": 1})


def test_its_schedule_rises_to_one_and_its_direction_is_the_gradients():
    recipe = Recipe(8, 2, optimizer="sgd", clip_norm=1e9)
    factors = [float(recipe.make_schedule()(step)) for step in range(9)]
    assert max(factors) == 1.0 and factors[0] < factors[1] <= 1.0 and factors[-1] < 0.2
    optimizer, gradient = recipe.make_optimizer(), jnp.array([1.0, -2.0])
    update, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
    assert (np.sign(update) == np.sign(gradient)).all()
