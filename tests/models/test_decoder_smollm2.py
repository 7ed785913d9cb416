"""SmolLM2 from its GGUF file: golden answers of the same dequantised weights, and the sanity of its perplexity."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paths import GOLDEN
from smollm2 import load_smollm2
from tolerances import SMOLLM2_LOGITS, SMOLLM2_LOSS, close

ANSWERS = GOLDEN / "smollm2.npz"


@pytest.fixture(scope="module")
def lm():
    return load_smollm2()


@pytest.fixture(scope="module")
def golden():
    with np.load(ANSWERS) as arrays:
        return dict(arrays)


@functools.partial(jax.jit, static_argnums=0)
def logits_of(decoder, params, tokens):
    return decoder.project(params, decoder.hidden(params, decoder.embed(params, tokens)))


def negative_log_likelihoods(lm, tokens):
    """f32[T - 1], of each token after the first."""
    scores = jax.nn.log_softmax(logits_of(lm.decoder, lm.params, jnp.array([tokens])))[0, :-1]
    return -jnp.take_along_axis(scores, jnp.array(tokens)[1:, None], axis=-1)[:, 0]


def test_the_name_says_how_the_weights_were_quantised(lm):
    assert lm.name == "SmolLM2-135M-Instruct (dequantised from Q4_1)"
    assert lm.fingerprint == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_logits_are_those_of_torch_with_the_same_dequantised_weights(lm, golden):
    rows = range(len(golden["texts"]))
    ids = [lm.tokenizer.encode(str(text)) for text in golden["texts"]]
    for i in rows:
        np.testing.assert_array_equal(ids[i], golden[f"ids_{i}"])
    padded = np.zeros((len(ids), max(map(len, ids))), np.int32)
    for i in rows:
        padded[i, : len(ids[i])] = ids[i]
    logits = np.asarray(logits_of(lm.decoder, lm.params, padded))
    for i in rows:
        expected = golden[f"logits_{i}"]
        ours = logits[i, len(ids[i]) - 4 : len(ids[i])][:, golden["columns"]]
        close(ours, expected, SMOLLM2_LOGITS)


def test_a_paragraph_has_torchs_likelihood_and_a_perplexity_in_the_tens_and_its_shuffled_words_in_the_thousands(
    lm, golden
):
    paragraph = str(golden["texts"][0])
    nll = negative_log_likelihoods(lm, lm.tokenizer.encode(paragraph))
    close(nll, golden["nll"], SMOLLM2_LOSS)
    assert f"{np.exp(nll.mean()):.4g}" == f"{np.exp(golden['nll'].mean()):.4g}"
    assert 10 < np.exp(nll.mean()) < 100
    words = paragraph.split()
    np.random.default_rng(0).shuffle(words)
    shuffled = negative_log_likelihoods(lm, lm.tokenizer.encode(" ".join(words)))
    assert 1000 < np.exp(shuffled.mean()) < 10_000
