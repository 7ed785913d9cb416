"""What must hold for every decoder, on tiny random models of each family."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tolerances import FINITE_DIFFERENCE, LOGITS, PART, close

from ipt_jax.models.attention.cached import Cursor, empty_segment

FAMILIES = ("gpt2", "llama")


@pytest.fixture(scope="module", params=FAMILIES)
def lm(request):
    return tiny.tiny_lm(request.param)


def tokens_of(lm, *shape, seed=0):
    return np.random.default_rng(seed).integers(1, lm.decoder.config.vocab_size, shape).astype(np.int32)


@functools.partial(jax.jit, static_argnums=0)
def logits_from(decoder, params, embeddings):
    return decoder.project(params, decoder.hidden(params, embeddings))


def logits_of(lm, embeddings):
    return logits_from(lm.decoder, lm.params, embeddings)


def test_pads_never_change_the_logits_of_real_tokens(lm):
    tokens = tokens_of(lm, 3, 11)
    lengths = (5, 11, 5)
    alone = [logits_of(lm, lm.decoder.embed(lm.params, tokens[i : i + 1, :n]))[0] for i, n in enumerate(lengths)]
    for pad in (0, 7):
        padded = np.full((3, 16), pad, np.int32)
        for i, n in enumerate(lengths):
            padded[i, :n] = tokens[i, :n]
        together = logits_of(lm, lm.decoder.embed(lm.params, padded))
        for i, n in enumerate(lengths):
            close(together[i, :n], alone[i], LOGITS)


def test_no_position_sees_what_comes_after_it(lm):
    embeddings = lm.decoder.embed(lm.params, tokens_of(lm, 1, 9))
    seen = jax.jacrev(lambda e: logits_of(lm, e)[0, 4].sum())(embeddings)
    np.testing.assert_array_equal(np.abs(seen[0]).max(-1) > 0, np.arange(9) <= 4)


def test_a_prompt_equal_to_the_embeddings_of_tokens_gives_those_tokens_logits(lm):
    tokens = tokens_of(lm, 2, 12)
    prompt = lm.decoder.embed(lm.params, tokens[:1, :5])[0]
    tokens[:, :5] = tokens[0, :5]
    rest = lm.decoder.embed(lm.params, tokens[:, 5:])
    with_prompt = logits_of(lm, jnp.concatenate([jnp.broadcast_to(prompt, (2, *prompt.shape)), rest], axis=1))
    np.testing.assert_array_equal(with_prompt, logits_of(lm, lm.decoder.embed(lm.params, tokens)))


def test_a_prompt_of_no_rows_changes_nothing(lm):
    embeddings = lm.decoder.embed(lm.params, tokens_of(lm, 2, 6))
    empty = jnp.zeros((2, 0, embeddings.shape[-1]), embeddings.dtype)
    np.testing.assert_array_equal(
        logits_of(lm, jnp.concatenate([empty, embeddings], axis=1)), logits_of(lm, embeddings)
    )


@pytest.mark.parametrize(
    ("family", "overrides"),
    [
        ("gpt2", {}),
        ("llama", {"tie_word_embeddings": False}),
        pytest.param("gpt2", {"tie_word_embeddings": False}, marks=pytest.mark.slow),
        pytest.param("llama", {}, marks=pytest.mark.slow),
    ],
)
def test_prefill_and_cached_steps_equal_the_whole_sequence(family, overrides):
    lm = tiny.tiny_lm(family, **overrides)
    decoder, params = lm.decoder, lm.params
    lengths, beams, new = np.array([7, 3, 5], np.int32), 2, 6
    tokens = np.array(tokens_of(lm, 3 * beams, 7 + new)).reshape(3, beams, 7 + new)
    for row, length in enumerate(lengths):
        tokens[row, :, :length] = tokens[row, 0, :length]  # the beams of a row part where its context ends
    whole = np.asarray(logits_of(lm, decoder.embed(params, tokens.reshape(3 * beams, -1))))
    whole = whole.reshape(3, beams, 7 + new, -1)

    _, (keys, values) = jax.jit(decoder.prefill)(params, decoder.embed(params, tokens[:, 0, :7]), lengths - 1)
    context = tuple(zip(keys, values, strict=True))
    generated = empty_segment(context, beams, new)
    layers = decoder.unstack(params)
    step_once = jax.jit(decoder.step)
    for step in range(new):
        places = lengths + step
        newest = decoder.embed(params, tokens[np.arange(3), :, places])
        hidden, generated = step_once(params, layers, newest, context, generated, Cursor(lengths, step))
        expected = whole[np.arange(3), :, places]
        close(decoder.project(params, hidden), expected, LOGITS)


@functools.partial(jax.jit, static_argnums=0)
def prefill(decoder, params, embeddings, last, before=None):
    return decoder.prefill(params, embeddings, last, before)


@pytest.mark.parametrize(
    ("lm", "shared"),
    [
        *(("llama", 0), ("llama", 70), ("gpt2", 1)),
        *(pytest.param(family, n, marks=pytest.mark.slow) for family, n in (("llama", 1), ("gpt2", 0), ("gpt2", 70))),
    ],
    indirect=["lm"],
)
def test_prefill_gives_the_last_hidden_state_whether_or_not_a_part_in_common_came_before(lm, shared):
    decoder, params = lm.decoder, lm.params
    tokens = tokens_of(lm, 2, 150)
    tokens[:, :shared] = tokens[:1, :shared]
    embeddings = np.asarray(decoder.embed(params, tokens))
    whole = np.asarray(jax.jit(decoder.hidden)(params, embeddings))
    last, before = np.array([149, 90]), None
    if shared:
        _, before = prefill(decoder, params, embeddings[:, :shared], np.array([shared - 1] * 2))
    hidden, cache = prefill(decoder, params, embeddings[:, shared:], last - shared, before)
    close(hidden, whole[np.arange(2), last], LOGITS)
    for ours, plain in zip(cache, prefill(decoder, params, embeddings, last)[1], strict=True):
        close(ours, plain, LOGITS)


def test_the_prompts_gradient_equals_finite_differences(lm):
    tokens = tokens_of(lm, 1, 6)
    prompt = 0.5 * jax.random.normal(jax.random.key(0), (3, lm.decoder.config.embed_dim))
    direction = jax.random.normal(jax.random.key(1), prompt.shape)

    @jax.jit
    def loss(prompt):
        rest = lm.decoder.embed(lm.params, tokens)
        scores = jax.nn.log_softmax(logits_of(lm, jnp.concatenate([prompt[None], rest], axis=1)))
        return -jnp.take_along_axis(scores[:, 2:-1], tokens[..., None], axis=-1).mean()

    width = 1e-3
    slope = (loss(prompt + width * direction) - loss(prompt - width * direction)) / (2 * width)
    gradient = jax.jit(jax.grad(loss))(prompt)
    steepest = jnp.linalg.norm(gradient) * jnp.linalg.norm(direction)
    close(jnp.vdot(gradient, direction), slope, FINITE_DIFFERENCE, scale=steepest)


def test_an_untied_head_differs_from_a_tied_one_and_uses_its_own_table():
    tied, untied = tiny.tiny_lm("llama"), tiny.tiny_lm("llama", tie_word_embeddings=False)
    hidden = jax.random.normal(jax.random.key(0), (2, 32))
    table = dict(tiny.hf_tensors(tiny.hf_config("llama", tie_word_embeddings=False)))["lm_head.weight"]
    expected = untied.decoder.normalise(untied.params, hidden) @ table.T
    close(untied.decoder.project(untied.params, hidden), expected, PART)
    assert len(jax.tree.leaves(untied.params)) == len(jax.tree.leaves(tied.params)) + 1


def test_in_bfloat16_the_parameters_are_narrow_and_the_logits_wide_and_near(lm):
    narrow = tiny.tiny_lm(lm.name.removeprefix("tiny "), dtype="bfloat16")
    assert {x.dtype for x in jax.tree.leaves(narrow.params)} == {jnp.dtype(jnp.bfloat16)}
    tokens = tokens_of(lm, 2, 9)
    wide_logits = logits_of(lm, lm.decoder.embed(lm.params, tokens))
    logits = logits_of(narrow, narrow.decoder.embed(narrow.params, tokens))
    assert logits.dtype == jnp.float32
    assert jnp.abs(logits - wide_logits).mean() < 0.05 * wide_logits.std()
