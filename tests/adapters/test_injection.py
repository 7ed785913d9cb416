"""What adapters inject, against the long way: rows for a prefix that is theirs, merged weights for LoRA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapter_samples import merged, random_lora
from model_cases import CASES, load_case
from tolerances import GRADIENT, LOSS, close
from training_batches import batch_of

from ipt_jax.adapters import lora, prefix
from ipt_jax.adapters.injection import Injection
from ipt_jax.rows.batching import Batch
from ipt_jax.training.losses import member_losses

FAMILIES = ["bloom", "gemma2", "opt_post_norm_projected", "gpt_neox"]
SOME = [pytest.param(case, marks=[pytest.mark.slow] * (case not in FAMILIES)) for case in CASES]


def batch_with(shared, decoder, members):
    """Random rows that begin with `shared` tokens in common."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, decoder.config.vocab_size, (members, 4, 7))
    tokens[..., :shared] = tokens[:, :1, :shared]
    positions = np.broadcast_to(np.arange(2, 6), (members, 4, 4)) - shared
    weights = draw.integers(0, 2, positions.shape).astype(np.float32)
    return Batch(tokens[..., shared:], positions, tokens[..., 3:], weights, tokens[..., :shared] if shared else None)


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


@pytest.mark.parametrize("kind", ["prefix", "lora"])
def test_a_member_has_the_same_loss_alone_as_among_others(kind):
    decoder, params, golden = load_case("qwen3")
    batch, c = batch_of(golden, members=3), decoder.config
    if kind == "lora":
        folded, inject = random_lora(c, 3), lora.inject
    else:
        shape = (3, c.num_layers, 4, c.num_kv_heads, c.head_dim)
        folded = {name: np.random.default_rng(i).normal(size=shape) for i, name in enumerate(("keys", "values"))}
        folded, inject = jax.tree.map(np.float32, folded), prefix.inject
    together = member_losses(decoder, params, inject(folded), batch)[0]
    assert len(set(np.asarray(together).tolist())) == 3
    for k in range(3):
        own, alone = (jax.tree.map(lambda x, k=k: x[k : k + 1], tree) for tree in (folded, batch))
        close(member_losses(decoder, params, inject(own), alone)[0], together[k : k + 1], LOSS)
