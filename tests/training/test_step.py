"""The training step's short cuts against the long way: whole sequences, all logits, gradients by `jax.grad`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from attention_cases import GROUPS, HEADS, RULES, WIDTH
from model_cases import CASES, load_case
from tolerances import ATTENTION, ATTENTION_GRADIENT, ELEMENTARY, GRADIENT, HEAD, LOGITS, LOSS, close
from training_batches import batch_of

from ipt_jax.models.attention.blocked import block_length, blocked_attention
from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import plain_attention
from ipt_jax.models.rematerialisation import REMATERIALISATIONS
from ipt_jax.rows.batching import Batch
from ipt_jax.training.losses import CPU_LOGITS_BUDGET, LOGITS_BUDGET, block_words, member_losses, token_losses

# Ways in which families differ: ALiBi, a window in some layers with softcaps of scores and logits, a norm after the
# residual with a projection around the blocks, parallel residuals. The others are slow proofs.
FAMILIES = ["bloom", "gemma2", "opt_post_norm_projected", "gpt_neox"]

OWN_BUDGET = CPU_LOGITS_BUDGET if jax.default_backend() == "cpu" else LOGITS_BUDGET


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


@pytest.mark.parametrize(
    ("name", "outer", "inner", "implementation"),
    [
        *(("plain", 2, 1, "blocked"), ("alibi", 1, 2, "blocked"), ("window of a scanned layer", 2, 2, "blocked")),
        *(("window", 1, 1, "blocked"), ("softcap and window", 1, 2, "blocked"), ("alibi", 2, 1, "xla")),
        *(
            pytest.param(name, outer, inner, "blocked", marks=pytest.mark.slow)
            for name in RULES
            for outer, inner in ((1, 1), (2, 2))
        ),
    ],
)
def test_keys_and_values_before_the_rows_count_as_if_every_row_had_its_own_copy(name, outer, inner, implementation):
    batch, length, known, rule = 8, 11, 5, RULES[name]
    keys = jax.random.split(jax.random.key(0), 6)
    rows, shared = (batch, length), (outer, inner, known)
    shapes = [(*rows, HEADS), (*rows, GROUPS), (*rows, GROUPS), (*shared, GROUPS), (*shared, GROUPS), (*rows, HEADS)]
    *arguments, weights = (jax.random.normal(key, (*shape, WIDTH)) for key, shape in zip(keys, shapes, strict=True))

    def answer(attend):
        @functools.partial(jax.value_and_grad, has_aux=True)
        def loss(arguments):
            mixed = attend(*arguments)
            return (mixed * weights).sum(), mixed

        return jax.jit(loss)(arguments)

    def ours(query, key, value, *before):
        if implementation == "blocked":
            return blocked_attention(query, key, value, rule, before, block=4)
        return causal_attention(query, key, value, rule, before, implementation=implementation)

    def obvious(query, key, value, *before):
        def whole(shared, own):
            copies = [shared[i // (batch // outer), i % inner] for i in range(batch)]
            return jnp.concatenate([jnp.stack(copies), own], axis=1)

        places = jnp.broadcast_to(known + jnp.arange(length), (batch, length))
        return plain_attention(query, whole(before[0], key), whole(before[1], value), rule, places)

    (_, mixed), our_gradients = answer(ours)
    (_, wanted), gradients = answer(obvious)
    close(mixed, wanted, ATTENTION_GRADIENT)
    for our_gradient, gradient in zip(our_gradients, gradients, strict=True):
        close(our_gradient, gradient, ATTENTION_GRADIENT)


@pytest.mark.parametrize(
    ("axis", "shared"),
    [
        ("members", 0),
        ("rows", 2),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("members", 2), ("rows", 0))),
    ],
)
@pytest.mark.parametrize(
    "name", [pytest.param(case, marks=[pytest.mark.slow] * (case not in FAMILIES)) for case in CASES]
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
            for budget in (CPU_LOGITS_BUDGET, LOGITS_BUDGET):
                block = block_words(rows, words, budget)
                assert 4 * rows * block <= budget + 4 * rows
                assert -(-words // block) * block >= words
            assert block_words(rows, words) == block_words(rows, words, OWN_BUDGET)


def test_bloom_sized_vocabularies_leave_no_array_of_all_logits_in_the_compiled_step():
    rows, words, width = 64, 250_880, 8
    shapes = [
        jax.ShapeDtypeStruct(shape, kind)
        for shape, kind in (((8, 8, width), jnp.float32), ((words, width), jnp.float32), ((8, 8), jnp.int32))
    ]
    gradient = jax.grad(lambda hidden, table, targets: token_losses(hidden, table, targets, block=8192).sum())
    used = jax.jit(gradient).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
    assert used < 4 * rows * words / 4  # all logits would be 64 MB; a quarter is room for two blocks and the rest


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
