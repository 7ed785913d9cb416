"""The loss of members' rows, without the logits of all words, against the long way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_cases import CASES, DIFFERENT, load_case
from tolerances import ELEMENTARY, GRADIENT, HEAD, LOSS, close

from ipt_jax.rows.batching import Batch
from ipt_jax.training.losses import member_losses, token_losses


@pytest.mark.parametrize(
    ("axis", "shared"),
    [
        ("members", 0),
        ("rows", 2),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("members", 2), ("rows", 0))),
    ],
)
@pytest.mark.parametrize(
    "name", [pytest.param(case, marks=[pytest.mark.slow] * (case not in DIFFERENT)) for case in CASES]
)
def test_what_rows_share_runs_once_and_gives_the_loss_and_the_gradient_of_a_copy_before_every_row(name, axis, shared):
    decoder, params, golden = load_case(name)
    members, rows, length = 2, 3, 7
    draw = np.random.default_rng(0)
    prompts = np.stack([golden["prompt"], 0.5 * golden["prompt"][::-1]])
    tokens = draw.integers(0, decoder.config.vocab_size, (members, rows, length))
    tokens[..., :shared] = tokens[:, :1, :shared]
    places = np.broadcast_to(np.arange(2, length - 1), (members, rows, length - 3))
    batch = Batch(tokens, places, tokens[..., 3:], draw.integers(0, 2, places.shape).astype(np.float32))
    apart = batch
    if shared:
        apart = batch._replace(
            tokens=tokens[..., shared:], target_positions=places - shared, shared=tokens[..., :shared]
        )

    def obvious(prompts):
        def one(prompt, batch):
            embeddings = jnp.concatenate(
                [jnp.broadcast_to(prompt, (rows, *prompt.shape)), decoder.embed(params, batch.tokens)], axis=1
            )
            hidden = decoder.hidden(params, embeddings)[:, len(prompt) + 2 : -1]
            likely = jax.nn.log_softmax(decoder.project(params, hidden))
            return -(jnp.take_along_axis(likely, batch.targets[..., None], axis=-1)[..., 0] * batch.weights).sum()

        losses = jnp.stack([one(prompts[k], jax.tree.map(lambda x, k=k: x[k], batch)) for k in range(members)])
        return losses.sum(), losses

    def ours(prompts):
        losses, _ = member_losses(decoder, params, prompts, apart, axis=axis)
        return losses.sum(), losses

    (_, losses), our_gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(prompts)
    (_, wanted), gradient = jax.jit(jax.value_and_grad(obvious, has_aux=True))(prompts)
    close(losses, wanted, LOSS)
    close(our_gradient, gradient, GRADIENT)


@pytest.mark.parametrize(
    ("words", "parts", "block", "softcap"),
    [
        *((37, 1, 10, None), (37, 1, 10, 2.0), (37, 1, 37, None), (36, 4, 4, 2.0), (37, 4, 7, None)),
        # The last of 37 words is a block of its own, shared, or alone. 36 words have four parts of nine, 37 have none.
        *(
            pytest.param(*size, softcap, marks=pytest.mark.slow)
            for size in (*((37, 1, block) for block in (1, 7, 10, 37)), (36, 4, 1), (36, 4, 4), (36, 4, 37), (37, 4, 7))
            for softcap in (None, 2.0)
        ),
    ],
)
def test_losses_in_blocks_of_words_and_their_gradient_are_those_of_all_logits(softcap, words, parts, block):
    width = 12
    hidden = jax.random.normal(jax.random.key(0), (3, 5, width))
    table = jax.random.normal(jax.random.key(1), (words, width))
    targets = jax.random.randint(jax.random.key(2), (3, 5), 0, words).at[0, :2].set(jnp.array([0, words - 1]))
    weights = jax.random.normal(jax.random.key(3), (3, 5)).at[1].set(0.0)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def obvious(hidden):
        logits = hidden @ table.T
        logits = logits if softcap is None else softcap * jnp.tanh(logits / softcap)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return (losses * weights).sum(), losses

    def ours(hidden):
        losses = token_losses(hidden, table, targets, softcap, block, parts)
        return (losses * weights).sum(), losses

    (_, wanted), gradient = obvious(hidden)
    (_, losses), our_gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(hidden)
    close(losses, wanted, HEAD)
    close(our_gradient, gradient, HEAD)
    close(jax.jit(ours)(hidden)[1], wanted, HEAD)  # without a gradient it takes another way


def test_losses_stay_finite_where_logits_are_far_beyond_what_exp_can_hold():
    hidden, table = jnp.full((1, 1, 4), 30.0), jnp.concatenate([jnp.ones((5, 4)), -jnp.ones((5, 4))]) * 10
    for target, wanted in ((0, np.log(5.0)), (9, 2400 + np.log(5.0))):
        loss = token_losses(hidden, table, jnp.array([[target]]), block=4)
        close(loss[0, 0], wanted, ELEMENTARY)


def test_bloom_sized_vocabularies_leave_no_array_of_all_logits_in_the_compiled_step():
    rows, words, width = 64, 250_880, 8
    shapes = [
        jax.ShapeDtypeStruct(shape, kind)
        for shape, kind in (((8, 8, width), jnp.float32), ((words, width), jnp.float32), ((8, 8), jnp.int32))
    ]
    gradient = jax.grad(lambda hidden, table, targets: token_losses(hidden, table, targets, block=8192).sum())
    used = jax.jit(gradient).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
    assert used < 4 * rows * words / 4  # all logits would be 64 MB; a quarter is room for two blocks and the rest
