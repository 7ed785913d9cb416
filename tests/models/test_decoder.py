"""The decoder against what Hugging Face transformers computes with the same tiny random checkpoints."""

import functools

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import one_batch
import pytest
from model_cases import CASES, embed_after, embeddings_of, load_case
from tolerances import GRADIENT, LAYER, LOGITS, LOSS, PART, close

from ipt_jax.decoding.settings import Search
from ipt_jax.models.attention import causal
from ipt_jax.models.attention.cached import Cursor, empty_segment

# Every family, and every rule of attention, is among the others; these repeat them in another setting.
REPEATED = ("bloom", "gpt2_untied_sharded", "gpt_neox_serial", "llama_rope_linear", "llama_tied_grouped", "qwen2")


def slow_but(*names):
    """All cases, of which only some are quick: for what a quicker test or another file shows of the others."""
    marked = [pytest.param(name, marks=[pytest.mark.slow] * (name not in names)) for name in CASES]
    return pytest.mark.parametrize("case", marked, indirect=True, scope="module")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in REPEATED)) for name in CASES],
)
def case(request):
    return load_case(request.param)


@functools.partial(jax.jit, static_argnums=0)
def logits_of(decoder, params, embeddings):
    return decoder.project(params, decoder.hidden(params, embeddings))


def padded_logits(case, tokens, prompt_rows=0):
    """f32[B, P + T, V], with so many rows of the prompt: all batches are as long as the longest, to share a program."""
    decoder, params, golden = case
    longest, prompt = golden["tokens"].shape[1] + golden["greedy"].shape[1], golden["prompt"]
    tokens = np.pad(tokens, ((0, 0), (0, longest - tokens.shape[1])))
    rows = np.asarray(embed_after(prompt[:prompt_rows], embeddings_of(decoder, params, tokens)))
    return np.asarray(logits_of(decoder, params, np.pad(rows, ((0, 0), (0, len(prompt) - prompt_rows), (0, 0)))))


@slow_but("gemma2", "opt")
def test_a_row_alone_gets_hugging_faces_logits(case):
    decoder, params, golden = case
    length = golden["lengths"][0]
    ours = np.asarray(logits_of(decoder, params, embeddings_of(decoder, params, golden["tokens"][:1, :length])))
    close(ours[0], golden["logits"][0, :length], LOGITS)


def test_a_padded_batch_gets_hugging_faces_logits_of_each_row_alone(case):
    golden = case[2]
    ours = padded_logits(case, golden["tokens"])
    for i, length in enumerate(golden["lengths"]):
        close(ours[i, :length], golden["logits"][i, :length], LOGITS)
        close(ours[i, :length], golden["padded_logits"][i, :length], LOGITS)  # by its mask and positions


def test_a_soft_prompt_gets_the_logits_of_inputs_embeds(case):
    golden = case[2]
    ours = padded_logits(case, golden["tokens"], prompt_rows=len(golden["prompt"]))
    for i, length in enumerate(golden["lengths"] + len(golden["prompt"])):
        close(ours[i, :length], golden["prompt_logits"][i, :length], LOGITS)


@slow_but("gpt2_tied", "gemma3", "qwen2_window_yarn")  # test_training_step: those of the path that training takes
def test_the_prompts_loss_and_gradient_are_torchs(case):
    decoder, params, golden = case
    tokens, lengths = golden["tokens"], golden["lengths"]
    targets = lengths[:, None] - np.array([3, 2, 1])  # each row's last three tokens

    def loss(prompt):
        hidden = decoder.hidden(params, embed_after(prompt, decoder.embed(params, tokens)))
        before = jnp.take_along_axis(hidden, (len(prompt) + targets - 1)[..., None], axis=1)
        scores = jax.nn.log_softmax(decoder.project(params, before))
        wanted = np.take_along_axis(tokens, targets, axis=1)
        return -jnp.take_along_axis(scores, wanted[..., None], axis=-1).mean()

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(golden["prompt"]))
    close(value, golden["loss"], LOSS)
    close(gradient, golden["gradient"], GRADIENT)


@slow_but("gpt_neox", "mistral_window")  # the next test has every step of every case, test_generation_golden others
def test_greedy_tokens_of_a_padded_batch_over_the_cache_are_hugging_faces_of_each_row_alone(case):
    decoder, params, golden = case
    rows, count = golden["greedy"].shape
    written = one_batch.decode(
        decoder,
        params,
        np.zeros((1, 0, decoder.config.embed_dim), np.float32),
        np.zeros(rows, np.int32),
        golden["tokens"],
        golden["lengths"],
        np.zeros(decoder.config.vocab_size, np.int32),
        None,
        Search(max_new_tokens=count),
        end_tokens=1,
    )
    np.testing.assert_array_equal(written.tokens, golden["greedy"])


def test_every_step_over_the_cache_gives_the_logits_of_the_whole_sequence(case):
    decoder, params, golden = case
    lengths, count = golden["lengths"], golden["greedy"].shape[1]
    tokens = np.pad(golden["tokens"], ((0, 0), (0, count)))
    for row, length in enumerate(lengths):
        tokens[row, length : length + count] = golden["greedy"][row]
    whole = padded_logits(case, tokens, prompt_rows=len(golden["prompt"]))

    @jax.jit
    def steps(params, prompt, tokens):
        embedded = embed_after(prompt, decoder.embed(params, tokens))
        context_lengths = jnp.asarray(lengths) + len(golden["prompt"])
        _, (keys, values) = decoder.prefill(params, embedded[:, :-count], context_lengths - 1)
        context = tuple(zip(keys, values, strict=True))
        segment, hidden = empty_segment(context, 1, count), []

        def one(segment, step):
            newest = jnp.take_along_axis(embedded, (context_lengths + step)[:, None, None], axis=1)
            out, segment = decoder.step(
                params, decoder.unstack(params), newest, context, segment, Cursor(context_lengths, step)
            )
            return segment, out[:, 0]

        segment, hidden = jax.lax.scan(one, segment, jnp.arange(count))
        return decoder.project(params, hidden)

    ours = np.asarray(steps(params, jnp.asarray(golden["prompt"]), tokens))  # [step, row, V]
    for row, length in enumerate(lengths + len(golden["prompt"])):
        close(ours[:, row], whole[row, length : length + count], LOGITS)


@functools.partial(jax.jit, static_argnums=0)
def parts_of(decoder, params, tokens, inner, attention_in):
    """What the embeddings give, and each part of the middle layer alone, with the rotary angles and rule of its own."""
    whole = nnx.merge(decoder.graphdef, params)
    traits = decoder.config.traits()[1]
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    entered, _ = whole.enter(decoder.embed(params, tokens), positions)
    positions = jnp.broadcast_to(jnp.arange(inner.shape[1]), inner.shape[:2])
    angles = [rotary.angles(positions) for rotary in decoder.config.rotaries]
    angles = angles[traits.rotary] if angles else None

    def attend(query, key, value):
        return causal.causal_attention(query, key, value, whole.rule(traits)), None

    block, _ = whole.block(1)
    return {
        "entered": entered,
        "normed": block.attention_norm(inner),
        "attention_out": block.attention(attention_in, angles, attend)[0],
        "mlp": block.mlp(inner),
        "block": block(inner, angles, attend)[0],
    }


@pytest.fixture
def parts(case):
    decoder, params, golden = case
    return parts_of(decoder, params, *(golden[name] for name in ("part_tokens", "part_input", "attention_in")))


def test_the_embeddings_with_their_positions_are_hugging_faces(case, parts):
    close(parts["entered"], case[2]["entered"], PART)


def test_one_norm_is_hugging_faces(case, parts):
    close(parts["normed"], case[2]["normed"], PART)


def test_one_attention_is_hugging_faces(case, parts):
    close(parts["attention_out"], case[2]["attention_out"], PART)


def test_one_feed_forward_network_is_hugging_faces(case, parts):
    close(parts["mlp"], case[2]["mlp"], PART)


def test_one_block_is_hugging_faces(case, parts):
    close(parts["block"], case[2]["block"], LAYER)
