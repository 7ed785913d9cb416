"""What is computed again changes what a gradient keeps, and never what it is."""

import jax
import jax.numpy as jnp
import pytest
from jax._src.ad_checkpoint import saved_residuals
from tolerances import ELEMENTARY, close

from ipt_jax.models.rematerialisation import REMATERIALISATIONS

WEIGHT, X = jnp.ones((4, 4)) / 3, jnp.arange(8.0).reshape(2, 4) / 8


def layer(x):
    return jnp.sin(jnp.tanh(x @ WEIGHT) @ WEIGHT)


def kept(policy):
    """How many arrays the gradient finds, besides its arguments and constants."""
    found = saved_residuals(lambda x: REMATERIALISATIONS[policy](layer)(x).sum(), X)
    return sum("argument" not in where and "constant" not in where for _, where in found)


@pytest.mark.parametrize("policy", REMATERIALISATIONS)
def test_the_gradient_is_the_same_whatever_is_computed_again(policy):
    ours = jax.grad(lambda x: REMATERIALISATIONS[policy](layer)(x).sum())(X)
    close(ours, jax.grad(lambda x: layer(x).sum())(X), ELEMENTARY)


def test_a_block_keeps_its_input_alone_dots_the_products_and_none_everything():
    assert kept("block") == 0
    assert 0 < kept("dots") < kept("none")
