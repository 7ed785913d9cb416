"""LoRA in a step, against merged weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapter_samples import merged, random_lora
from ml_collections import FrozenConfigDict
from model_cases import CASES, DIFFERENT, load_case
from tiny import hf_config, tiny_lm
from tolerances import ELEMENTARY, GRADIENT, LOSS, close
from training_batches import batch_with

from ipt_jax.adapters import lora
from ipt_jax.adapters.injection import Injection
from ipt_jax.errors import InputError
from ipt_jax.models.families import llama
from ipt_jax.training.losses import member_losses

SOME = [pytest.param(case, marks=[pytest.mark.slow] * (case not in DIFFERENT)) for case in CASES]


@pytest.mark.parametrize("axis", ["members", "rows"])
@pytest.mark.parametrize("name", SOME)
def test_a_lora_gives_each_member_the_loss_and_the_gradient_of_its_own_merged_weights(name, axis):
    decoder, params, _ = load_case(name)
    members = 2
    batch, folded = batch_with(2, decoder, members), random_lora(decoder.config, members)

    def ours(folded):
        losses = member_losses(decoder, params, lora.inject(folded), batch, axis=axis)[0]
        return losses.sum(), losses

    def obvious(folded):
        none = jnp.zeros((1, 0, decoder.config.embed_dim))
        losses = []
        for k in range(members):
            one = jax.tree.map(lambda x, k=k: x[k], folded)
            alone = jax.tree.map(lambda x, k=k: x[k : k + 1], batch)
            losses.append(member_losses(decoder, merged(params, one), none, alone)[0][0])
        return sum(losses), jnp.stack(losses)

    (_, losses), gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(folded)
    (_, wanted), expected = jax.jit(jax.value_and_grad(obvious, has_aux=True))(folded)
    close(losses, wanted, LOSS)
    for place in folded:
        close(gradient[place], expected[place], GRADIENT)
    assert np.abs(losses - member_losses(decoder, params, Injection.of(jnp.zeros((2, 0, 4))), batch)[0]).min() > 0.1


CONFIG = llama.config_from_hf(hf_config("llama"))


def settings(targets="query,value", rank=4, alpha=8.0, rslora=False, steps=5):
    adapter = {"targets": targets, "rank": rank, "alpha": alpha, "rslora": rslora}
    whole = {"adapter": adapter, "seed": 0, "training": {"steps": steps}, "prompt": {"source": ""}}
    return FrozenConfigDict(whole)


def test_a_lora_begins_as_no_change_and_by_its_seed():
    lm, kind = tiny_lm("llama"), lora.LoRAKind()
    start = kind.start(lm, settings(), None)
    assert {name: array.shape for name, array in start.items()} == kind.shapes(settings(), CONFIG)
    assert all((array == 0).all() == name.endswith(".up") for name, array in start.items())
    assert (start["query.down"] == kind.start(lm, settings(), None)["query.down"]).all()
    assert kind.numbers(settings(), CONFIG) == sum(array.size for array in start.values())


def test_what_is_kept_has_the_scale_in_it_and_what_is_taken_up_again_is_the_same():
    kind = lora.LoRAKind()
    one = {name: np.ones(shape, np.float32) for name, shape in kind.shapes(settings(), CONFIG).items()}
    adapter, params = kind.create([one], settings(), [0])
    folded = adapter.fold(params)
    for name in one:
        close(folded[name][0], one[name], ELEMENTARY)
    close(params["query.up"][0] * 2.0, one["query.up"], ELEMENTARY)  # alpha / r


@pytest.mark.parametrize(("rslora", "scale"), [(False, 2.0), (True, 4.0)])
def test_the_scale_is_alpha_by_the_rank_or_its_root(rslora, scale):
    assert lora.scale_of(settings(rslora=rslora).adapter) == scale


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"targets": "query,query"}, "must name linear maps, each once"),
        ({"targets": ""}, "must name linear maps"),
        ({"targets": "queries"}, "'queries' is no linear map of this model"),
        ({"rank": 17, "targets": "key"}, "rank=17 is more than a map between 16 and more numbers has"),
    ],
)
def test_what_cannot_be_is_an_input_error(given, message):
    with pytest.raises(InputError, match=message):
        lora.LoRAKind().check(settings(**given), CONFIG)


def test_arrays_of_another_model_are_told_by_what_does_not_fit():
    kind = lora.LoRAKind()
    fitting = {name: np.zeros(shape) for name, shape in kind.shapes(settings(), CONFIG).items()}
    assert kind.misfit(fitting, CONFIG) == ""
    assert kind.misfit({}, CONFIG) == "it is empty"
    assert "it has no query.up" in kind.misfit({"query.down": fitting["query.down"]}, CONFIG)
    wide = {**fitting, "query.up": np.zeros((2, 4, 33))}
    assert "query is [2, 32, 4] and [2, 4, 33], where the model needs [2, 32, rank]" in kind.misfit(wide, CONFIG)


def test_without_training_and_source_it_is_not_there():
    assert lora.LoRAKind().present(settings().to_dict())
    assert not lora.LoRAKind().present(settings(steps=0).to_dict())
