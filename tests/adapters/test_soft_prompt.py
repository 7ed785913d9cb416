"""Soft prompts: where they start, what the MLP adds, and how they are folded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import FOLD, close

from ipt_jax.adapters.soft_prompt import ACTIVATIONS, SoftPrompts, prepend
from ipt_jax.errors import InputError

ROWS = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)


@pytest.mark.parametrize("reparameterisation", ["none", "mlp"])
def test_training_starts_from_the_initial_rows_whatever_the_reparameterisation(reparameterisation):
    prompts, params = SoftPrompts.create(ROWS, reparameterisation=reparameterisation, hidden=5, member_seeds=[0, 1])
    assert (prompts.fold(params) == ROWS).all()


def test_folding_is_the_table_plus_the_mlp_of_the_table():
    prompts, params = SoftPrompts.create(ROWS, reparameterisation="mlp", hidden=5, member_seeds=[0, 1])
    leaves, tree = jax.tree.flatten(params)
    random = np.random.default_rng(1)
    params = jax.tree.unflatten(tree, [jnp.asarray(random.standard_normal(leaf.shape), jnp.float32) for leaf in leaves])
    flat = {jax.tree_util.keystr(p, simple=True, separator="."): v for p, v in jax.tree.leaves_with_path(params)}
    arrays = {name.split(".")[-2]: np.asarray(value, np.float64) for name, value in flat.items()}
    inner = np.tanh(np.einsum("kpe,kef->kpf", arrays["table"], arrays["down"]) + arrays["down_bias"][:, None])
    expected = arrays["table"] + np.einsum("kpf,kfe->kpe", inner, arrays["up"]) + arrays["up_bias"][:, None]
    close(prompts.fold(params), expected, FOLD)


def test_a_members_mlp_depends_on_its_own_seed_alone():
    def down(member_seeds):
        rows = np.repeat(ROWS[:1], len(member_seeds), axis=0)
        _, params = SoftPrompts.create(rows, reparameterisation="mlp", hidden=5, member_seeds=member_seeds)
        return np.asarray(params["mlp"]["down"][...])

    assert (down([7, 1])[0] == down([7])[0]).all()
    assert (down([7, 1])[0] != down([7, 1])[1]).any()


def test_an_unknown_reparameterisation_is_refused():
    with pytest.raises(InputError, match="'lstm'"):
        SoftPrompts.create(ROWS, reparameterisation="lstm", hidden=5, member_seeds=[0, 1])


def test_without_the_residual_path_the_rows_are_what_the_mlp_gives():
    settings = {"reparameterisation": "mlp", "hidden": 5, "member_seeds": [0, 1]}
    with_path, params = SoftPrompts.create(ROWS, **settings)
    without, own = SoftPrompts.create(ROWS, **settings, residual=False)
    assert np.abs(without.fold(own) - ROWS).max() > 0.1  # an untrained MLP already moves them
    close(with_path.fold(own), ROWS + without.fold(own), FOLD)
    assert (np.asarray(params["mlp"]["down"][...]) == np.asarray(own["mlp"]["down"][...])).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_hidden_layer_has_its_own_weights_and_the_activation_behind_it(activation):
    prompts, params = SoftPrompts.create(
        ROWS, reparameterisation="mlp", hidden=5, member_seeds=[0, 1], depth=3, activation=activation, residual=False
    )
    mlp = {name: np.asarray(params["mlp"][name][...]) for name in ("down", "inner", "up")}
    assert mlp["inner"].shape == (2, 2, 5, 5) and np.abs(mlp["inner"][:, 0] - mlp["inner"][:, 1]).max() > 0.1
    x = ACTIVATIONS[activation](np.einsum("kpe,keh->kph", ROWS, mlp["down"]))
    for layer in range(2):
        x = ACTIVATIONS[activation](np.einsum("kph,khi->kpi", x, mlp["inner"][:, layer]))
    close(prompts.fold(params), np.einsum("kph,khe->kpe", x, mlp["up"]), FOLD)


def test_an_unknown_activation_lists_the_choices():
    with pytest.raises(InputError, match="'sine' is unknown; choose one of tanh, relu, gelu, silu"):
        SoftPrompts.create(ROWS, reparameterisation="mlp", hidden=5, member_seeds=[0, 1], activation="sine")


def test_prepending_no_rows_changes_nothing():
    embeddings = jnp.ones((2, 4, 8), jnp.bfloat16)
    assert (prepend(jnp.zeros((2, 0, 8)), embeddings) == embeddings).all()
    assert prepend(jnp.zeros((2, 3, 8)), embeddings).shape == (2, 7, 8)
