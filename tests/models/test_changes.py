"""Changes of linear maps for rows of several members, against each member's rows by themselves."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import hf_config
from tolerances import ELEMENTARY, close

from ipt_jax.errors import InputError
from ipt_jax.models.changes import Changes, check_places, places
from ipt_jax.models.families import gpt2, llama


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A rule of one number a member and layer: it doubles what goes in, and adds the number to what comes out."""

    def enter(self, weights, x):
        return 2 * x

    def leave(self, weights, x, y):
        return y + weights + 0 * x.sum(-1, keepdims=True)


def put_on(changes, layer):
    block = types.SimpleNamespace(up=types.SimpleNamespace())
    changes.of_layer(layer).put_on(block)
    return block.up.change


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_a_batch_is_groups_in_which_every_so_many_rows_are_the_same_members(outer, inner):
    rows = 2
    own = jnp.arange(2.0 * outer * inner).reshape(2, outer, inner)  # [L, I, J]
    change = put_on(Changes({"up": own}, Scaled()), 1)
    x = jax.random.normal(jax.random.key(0), (outer * rows * inner, 3))
    got = change(x, lambda x: x * 10)
    for b in range(len(x)):
        member = own[1, b // (rows * inner), b % inner]
        close(got[b], 20 * x[b] + member, ELEMENTARY)


def test_rows_of_members_in_any_order_go_by_their_own():
    own = jnp.arange(6.0).reshape(2, 3, 1)  # [L, K, 1]
    members = jnp.array([2, 0, 2, 1])
    change = put_on(Changes({"up": own}, Scaled(), members), 0)
    got = change(jnp.zeros((4, 3)), lambda x: x)
    assert got[:, 0].tolist() == own[0, :, 0][members].tolist()


def test_places_are_a_layers_linear_maps_with_their_widths():
    config = llama.config_from_hf(hf_config("llama"))
    assert places(config) == {
        **{"query": (32, 32), "key": (32, 16), "value": (32, 16), "out": (32, 32)},
        **{"gate": (32, 48), "up": (32, 48), "down": (48, 32)},
    }
    assert "gate" not in places(gpt2.config_from_hf(hf_config("gpt2")))


def test_a_place_that_is_not_there_is_named_with_those_that_are():
    config = gpt2.config_from_hf(hf_config("gpt2"))
    check_places(("query", "down"), config, "config.adapter.targets")
    with pytest.raises(InputError, match=r"config\.adapter\.targets: 'gate' is no linear map of this model; it has q"):
        check_places(("query", "gate"), config, "config.adapter.targets")


def test_changes_pass_through_jit_as_their_arrays_do():
    changes = Changes({"up": np.ones((1, 1, 1, 1), np.float32)}, Scaled())
    doubled = jax.jit(lambda c: jax.tree.map(lambda x: 2 * x, c))(changes)
    assert doubled.rule == changes.rule
    assert doubled.weights["up"].item() == 2
