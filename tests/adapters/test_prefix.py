"""A prefix in a step, against the rows whose keys and values it is."""

import jax
import numpy as np
import pytest
from ml_collections import FrozenConfigDict
from model_cases import CASES, DIFFERENT, load_case
from tiny import tiny_lm
from tolerances import ELEMENTARY, LOSS, close
from training_batches import batch_with

from ipt_jax.adapters import prefix
from ipt_jax.errors import InputError
from ipt_jax.training.losses import member_losses

SOME = [pytest.param(case, marks=[pytest.mark.slow] * (case not in DIFFERENT)) for case in CASES]


@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize("name", SOME)
def test_a_prefix_of_the_keys_and_values_of_rows_gives_the_loss_of_these_rows(name, shared):
    decoder, params, golden = load_case(name)
    prompts = np.stack([golden["prompt"], 0.5 * golden["prompt"][::-1]])
    batch = batch_with(shared, decoder, members=2)
    keys, values = (x.swapaxes(0, 1) for x in jax.jit(lambda p: decoder.beginning(params, p))(prompts))
    for axis in ("members", "rows"):
        losses = jax.jit(lambda adapters, axis=axis: member_losses(decoder, params, adapters, batch, axis=axis)[0])
        close(losses(prefix.inject({"keys": keys, "values": values})), losses(prompts), LOSS)


LM = tiny_lm("llama")
CONFIG = LM.decoder.config


def settings(kind="sampled_vocabulary", reparameterisation="none", residual=True, freeze=False, decay=0.0, rows=3):
    prompt = {"initialisation": kind, "text": "", "source": "", "reparameterisation": reparameterisation}
    prompt |= {"hidden": 4, "depth": 1, "activation": "tanh", "residual": residual}
    adapter, layout = {"freeze_first": freeze}, {"prompt_tokens": rows, "template": {}}
    training = {"weight_decay": decay}
    return FrozenConfigDict({"prompt": prompt, "adapter": adapter, "layout": layout, "training": training, "seed": 0})


def created(given):
    kind = prefix.PrefixKind()
    start = kind.start(LM, given, lambda: [])
    return start, *kind.create([start], given, [0])


@pytest.mark.parametrize("reparameterisation", ["none", "mlp"])
def test_training_starts_from_the_keys_and_values_that_the_rows_have(reparameterisation):
    given = settings(reparameterisation=reparameterisation)
    start, adapter, params = created(given)
    folded = adapter.fold(params)
    assert start["keys"].shape == (2, 3, 2, 8)
    for name in ("keys", "values"):
        close(folded[name][0], start[name], ELEMENTARY)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == prefix.PrefixKind().numbers(given, CONFIG)


def test_without_the_table_it_is_what_the_mlp_makes_as_published():
    _, adapter, params = created(settings(reparameterisation="mlp", residual=False))
    assert np.isfinite(adapter.fold(params)["keys"]).all()
    given = settings(reparameterisation="mlp", residual=False)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == prefix.PrefixKind().numbers(given, CONFIG)


def test_noise_is_as_wide_as_keys_and_values_of_words():
    words, drawn = (prefix.PrefixKind().start(LM, settings(kind), lambda: []) for kind in KINDS)
    for name in ("keys", "values"):
        for layer in range(2):
            assert 0.5 < drawn[name][layer].std() / words[name][layer].std() < 2
        assert abs(drawn[name] - words[name]).max() > words[name].std()


KINDS = ("sampled_vocabulary", "random_normal")


def test_the_first_position_gets_no_gradient_where_it_is_frozen():
    _, adapter, params = created(settings(freeze=True))
    gradient = jax.grad(lambda p: adapter.fold(p)["keys"].sum())(params)
    folded = adapter.fold(gradient)["keys"]
    assert (folded[:, :, 0] == 0).all() and (folded[:, :, 1:] == 1).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"freeze": True, "reparameterisation": "mlp"}, "freeze_first=True needs prompt.reparameterisation='none'"),
        ({"freeze": True, "decay": 0.1}, r"weight_decay=0\.1 would move the first position"),
        ({"rows": 512}, "prompt_tokens=512 leaves none of the model's 512 positions"),
    ],
)
def test_what_cannot_be_is_an_input_error(given, message):
    with pytest.raises(InputError, match=message):
        prefix.PrefixKind().check(settings(**given), CONFIG)


def test_arrays_of_another_model_are_told_by_what_does_not_fit():
    kind, shape = prefix.PrefixKind(), (2, 3, 2, 8)
    assert kind.misfit({"keys": np.zeros(shape), "values": np.zeros(shape)}, CONFIG) == ""
    other = np.zeros((4, 3, 2, 8))
    assert "its keys are [4, 3, 2, 8]; the model's are [2, 'positions', 2, 8]" in kind.misfit(
        {"keys": other, "values": other}, CONFIG
    )
    assert "keys and values of one shape are wanted" in kind.misfit({"keys": other}, CONFIG)
