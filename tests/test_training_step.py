"""The training step's short cuts against the long way: whole sequences, all logits, gradients by `jax.grad`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_models_attention import GROUPS, HEADS, RULES, WIDTH
from test_models_golden import CASES, load_case
from tolerances import ATTENTION, ATTENTION_GRADIENT, ELEMENTARY, GRADIENT, HEAD, LOGITS, LOSS, close

from ipt_jax.batching import Batch
from ipt_jax.losses import LOGITS_BUDGET, block_words, member_losses, token_losses
from ipt_jax.models.attention import causal_attention, plain_attention
from ipt_jax.models.blocked_attention import block_length, blocked_attention
from ipt_jax.models.rematerialisation import REMATERIALISATIONS

# Ways in which families differ: ALiBi, a window in some layers with softcaps of scores and logits, a norm after the
# residual with a projection around the blocks, parallel residuals. The others are slow proofs.
FAMILIES = ["bloom", "gemma2", "opt_post_norm_projected", "gpt_neox"]


@pytest.mark.parametrize(
    ("name", "block"),
    [
        *(("plain", 4), ("alibi", 4), ("window of a scanned layer", 4), ("softcap and window", 4), ("plain", 64)),
        # A number that is no array, another scale, and blocks within a window: variants of those.
        *(pytest.param(name, 4, marks=pytest.mark.slow) for name in RULES if "scale" in name or name == "window"),
        pytest.param("window", 3, marks=pytest.mark.slow),
    ],
)
def test_attention_in_blocks_of_queries_and_its_gradient_are_those_of_the_whole_square(name, block):
    length, rule = 11, RULES[name]
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = [(2, length, heads, WIDTH) for heads in (HEADS, GROUPS, GROUPS, HEADS)]
    *arguments, weights = (jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True))

    def answer(attend):
        @functools.partial(jax.value_and_grad, has_aux=True)
        def loss(arguments):
            mixed = attend(*arguments, rule)
            return (mixed * weights).sum(), mixed

        return jax.jit(loss)(arguments)

    (_, ours), our_gradients = answer(functools.partial(blocked_attention, block=block))
    (_, wanted), gradients = answer(plain_attention)
    close(ours, wanted, ATTENTION)
    for our_gradient, gradient in zip(our_gradients, gradients, strict=True):
        close(our_gradient, gradient, ATTENTION_GRADIENT)


def test_queries_at_some_places_get_what_they_get_among_all():
    query, key, value = (jax.random.normal(jax.random.key(i), (2, 9, 4, WIDTH)) for i in range(3))
    places = jnp.array([[8, 0, 3], [2, 2, 7]])
    for name in ("plain", "softcap and window"):
        whole = jax.jit(functools.partial(causal_attention, rule=RULES[name]))(query, key, value)
        chosen = jnp.take_along_axis(query, places[..., None, None], axis=1)
        ours = jax.jit(functools.partial(plain_attention, rule=RULES[name], places=places))(chosen, key, value)
        close(ours, jnp.take_along_axis(whole, places[..., None, None], axis=1), ATTENTION)


def test_no_sequence_is_cut_into_more_than_eight_blocks():
    assert all(-(-length // block_length(length)) <= 8 for length in range(1, 3000))


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


def test_no_block_of_logits_passes_the_budget_and_no_word_is_left_out():
    for rows in (1, 7, 64, 512, 2560):
        for words in (1, 50_257, 250_880):
            block = block_words(rows, words)
            assert 4 * rows * block <= LOGITS_BUDGET + 4 * rows
            assert -(-words // block) * block >= words


def test_bloom_sized_vocabularies_leave_no_array_of_all_logits_in_the_compiled_step():
    rows, words, width = 64, 250_880, 8
    shapes = [
        jax.ShapeDtypeStruct(shape, kind)
        for shape, kind in (((8, 8, width), jnp.float32), ((words, width), jnp.float32), ((8, 8), jnp.int32))
    ]
    gradient = jax.grad(lambda hidden, table, targets: token_losses(hidden, table, targets, block=8192).sum())
    used = jax.jit(gradient).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
    assert used < 4 * rows * words / 4  # all logits would be 64 MB; a quarter is room for two blocks and the rest


def batch_of(golden, members=1):
    """Each row's last three tokens are learned."""
    tokens, lengths = golden["tokens"], golden["lengths"]
    places = lengths[:, None] - np.array([4, 3, 2])
    targets = np.take_along_axis(tokens, places + 1, axis=1)
    arrays = tokens, places, targets, np.ones(targets.shape, np.float32)
    return Batch(*(np.stack([array] * members) for array in arrays))


@pytest.mark.parametrize(
    "name", [name if name in FAMILIES else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
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
    monkeypatch.setattr("ipt_jax.models.blocked_attention.block_length", lambda length: 24)
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
