"""The linear map of a block, as it lies for whole rows and for steps of few rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tolerances import ELEMENTARY, close

from ipt_jax.models.blocks import Linear, times_rows, turn


def drawn(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 1, 5), (2, 3, 5)])
def test_a_product_with_rows_is_the_product_with_their_transpose(shape):
    x, rows = drawn(shape), drawn((7, 5), 1)
    found = jax.jit(times_rows)(x, rows)
    assert found.shape == (*shape[:-1], 7)
    close(found, x @ rows.T, ELEMENTARY)


def test_a_product_with_rows_has_the_type_that_is_asked_for():
    x, rows = drawn((2, 5)).astype(jnp.bfloat16), drawn((7, 5), 1).astype(jnp.bfloat16)
    assert times_rows(x, rows).dtype == jnp.bfloat16
    assert times_rows(x, rows, jnp.float32).dtype == jnp.float32


@pytest.mark.parametrize("bias", [True, False])
def test_a_turned_map_is_the_same_map_with_its_kernel_the_other_way_round(bias):
    linear = Linear((), 5, 7, bias, jnp.float32)
    linear.kernel = nnx.Param(drawn((5, 7), 1))
    x = drawn((3, 5))
    wanted = linear(x)
    turned = turn(linear)
    assert turned.kernel[...].shape == (7, 5)
    close(turned(x), wanted, ELEMENTARY)


def test_a_step_multiplies_with_weights_on_the_left_where_a_cpu_would_copy_them():
    """XLA turns a product round if its result is transposed, unless something stands between."""
    text = jax.jit(times_rows).lower(drawn((3, 64)), drawn((4096, 64), 1)).compile().as_text()
    assert "f32[4096,3]" in text  # the product has the rows first
