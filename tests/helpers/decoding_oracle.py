"""Tiny models, prompts, and decoding written out over whole sequences: what the fast loops are compared with."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from tiny import tiny_lm

from ipt_jax.decoding import generation, stopping
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.settings import Search

LMS = {family: tiny_lm(family) for family in ("llama", "gpt2")}
M = 6
SEARCH = Search(M)
WITHOUT_STOP = Search(M, stop=())
RANDOM = np.random.default_rng(0)
PROMPTS = RANDOM.standard_normal((2, 3, 32)).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def whole_sequence(decoder, params, prompt, tokens):
    """f32[P, E], i32[T] → f32[P + T, V]."""
    rows = jnp.concatenate([prompt, decoder.embed(params, tokens)])
    return decoder.project(params, decoder.hidden(params, rows[None]))[0]


def logits_of(lm, prompt, tokens):
    """f64[P + T, V]. Padding behind the last token lets all lengths share one program.

    That it changes nothing is for `tests/models/test_decoder_invariants.py` to show.
    """
    padded = np.pad(np.array(tokens, np.int32), (0, 97 - len(tokens)))
    logits = np.asarray(whole_sequence(lm.decoder, lm.params, prompt, padded), np.float64)
    return logits[: len(prompt) + len(tokens)]


def oracle(lm, prompt, tokens, max_new_tokens, search=SEARCH):
    """(tokens, log-probability) by running the whole sequence for every token."""
    tokens, written, log_probability = list(tokens), [], 0.0
    for _ in range(max_new_tokens):
        logits = logits_of(lm, prompt, tokens)[-1]
        token = int(by_the_rules(logits, tokens, len(written), lm.tokenizer.eos_ids, search).argmax())
        log_probability += logits[token] - np.logaddexp.reduce(logits)
        tokens.append(token)
        written.append(token)
        if token in lm.tokenizer.eos_ids or has_stopped(lm.tokenizer.decode, written, search):
            break
    return written, log_probability


def by_the_rules(logits, history, count, eos_ids, search):
    """What `Processors` is a fast form of."""
    scores, n = logits.copy(), search.no_repeat_ngram_size
    if search.repetition_penalty != 1.0:
        for id in set(history):
            scores[id] *= search.repetition_penalty if scores[id] < 0 else 1 / search.repetition_penalty
    if n and len(history) >= n:
        for i in range(len(history) - n + 1):
            if history[i : i + n - 1] == history[len(history) - n + 1 :]:
                scores[history[i + n - 1]] = -np.inf
    if count < search.min_new_tokens:
        scores[list(eos_ids)] = -np.inf
    return scores


def has_stopped(decode, written, search):
    """Whether the newest token completes a stop text that counts."""
    held = len(decode(written[: search.held_tokens]))
    stop = stopping.first_stop(decode(written), search.stop, after_white_space=search.hold_stop_texts, held=held)
    return stop is not None


def decode(lm, prompts, work, search=SEARCH, batch_size=4, ids=None):
    """What is generated for each row of the work, in its order."""
    results = dict.fromkeys(requests_of(work, ids))
    for batch in generation.generate(lm, jnp.asarray(prompts), list(results), search, batch_size=batch_size):
        results.update(batch)
    return list(results.values())


def requests_of(work, ids=None):
    """A request for each (index of the prompt, token ids)."""
    names = [f"row {i}" for i in range(len(work))]
    prompts, tokens = zip(*work, strict=True) if work else ((), ())
    return list(map(Request, tokens, prompts, range(len(work)) if ids is None else ids, names))
