"""The training step's short cuts against the long way: whole sequences, all logits, gradients by `jax.grad`."""

import functools

import jax
import jax.numpy as jnp
import pytest
from model_cases import CASES, DIFFERENT, load_case
from tolerances import GRADIENT, LOGITS, LOSS, close
from training_batches import batch_of

from ipt_jax.models.rematerialisation import REMATERIALISATIONS
from ipt_jax.training.losses import member_losses


@pytest.mark.parametrize(
    "name", [name if name in DIFFERENT else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_the_training_path_gives_the_prompt_torchs_loss_and_gradient(name):
    decoder, params, golden = load_case(name)
    batch = batch_of(golden)

    @jax.jit
    @jax.value_and_grad
    def loss(prompt):
        total, count = member_losses(decoder, params, prompt[None], batch)
        return (total / count)[0]

    value, gradient = loss(jnp.asarray(golden["prompt"]))
    close(value, golden["loss"], LOSS)
    close(gradient, golden["gradient"], GRADIENT)


@pytest.mark.parametrize(
    ("name", "recomputed"),
    [
        ("bloom", ("dots",)),
        ("gemma2", ("block",)),
        pytest.param("gemma2", tuple(REMATERIALISATIONS), marks=pytest.mark.slow),
        pytest.param("mistral_window", ("dots",), marks=pytest.mark.slow),
    ],
)
def test_rows_of_several_blocks_get_the_gradient_of_the_whole_sequence_whatever_is_recomputed(
    name, recomputed, monkeypatch
):
    monkeypatch.setattr("ipt_jax.models.attention.blocked.block_length", lambda length: 24)
    decoder, params, _ = load_case(name)
    length = 40  # a block and a shorter one
    embeddings = jax.random.normal(jax.random.key(0), (2, length, decoder.config.embed_dim))
    places = jnp.array([[length - 1, 3, 17], [length // 2, 0, 0]])

    def long_way(embeddings):
        return jnp.take_along_axis(decoder.hidden(params, embeddings), places[..., None], axis=1)

    weights = jax.random.normal(jax.random.key(1), (2, 3, decoder.config.hidden_dim))

    def answer(hidden_of):
        def loss(embeddings):
            hidden = hidden_of(embeddings)
            return (hidden * weights).sum(), hidden

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(embeddings)

    (_, wanted), gradient = answer(long_way)
    for rematerialisation in recomputed:
        (_, ours), our_gradient = answer(lambda x, kind=rematerialisation: decoder.hidden_at(params, x, places, kind))
        close(ours, wanted, LOGITS)
        close(our_gradient, gradient, GRADIENT)


@functools.partial(jax.jit, static_argnums=2)
def members_gradients(prompts, batch, axis):
    """((f32[], f32[K] losses), f32[K, P, E]) of BLOOM."""
    decoder, params, _ = load_case("bloom")

    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(prompts):
        total, _ = member_losses(decoder, params, prompts, batch, axis=axis)
        return total.sum(), total

    return loss(prompts)


@pytest.mark.parametrize("axis", ["members", "rows"])
def test_a_members_loss_and_gradient_are_those_of_its_solo_run(axis):
    golden = load_case("bloom")[2]
    prompts = jnp.stack([golden["prompt"], 2 * golden["prompt"]])
    batch = batch_of(golden, members=2)
    batch.targets[1] = 5  # members learn different things

    (_, together), gradients = members_gradients(prompts, batch, axis)
    for k in range(2):
        own = jax.tree.map(lambda array, k=k: array[k : k + 1], batch)
        (_, alone), gradient = members_gradients(prompts[k : k + 1], own, "members")  # one member: either is the same
        close(together[k], alone[0], LOSS)
        close(gradients[k], gradient[0], GRADIENT)


def test_every_product_of_the_gradient_asks_for_all_bits_of_float32():
    """A CPU has them anyway; GPUs and TPUs round the operands of a product that does not ask."""
    decoder, params, golden = load_case("bloom")
    batch = batch_of(golden)

    def loss(prompt):
        return member_losses(decoder, params, prompt[None], batch)[0][0]

    text = jax.jit(jax.grad(loss)).lower(jnp.asarray(golden["prompt"])).as_text()
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) > 20 and all("precision = [HIGHEST, HIGHEST]" in line for line in products)
