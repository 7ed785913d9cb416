"""Answers that are chosen: which of some given texts is the most probable after a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.adapters.injection import Injection
from ipt_jax.decoding import likelihood
from ipt_jax.decoding.generation import check_finite, check_lengths
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.strategy import Generation
from ipt_jax.models.loading import FrozenLM

# Rows with a choice behind each that run together where nothing else is said.
_TOGETHER = 32
# What `Generation.stop` says of an answer that was chosen.
CHOICE = "choice"


def choose(
    lm: FrozenLM,
    adapters: Injection | jax.Array,
    requests: Sequence[Request],
    choices: Sequence[Sequence[tuple[str, Sequence[int]]]],
    *,
    per_token: bool = False,
    batch_size: int = 0,
) -> Iterator[list[tuple[Request, Generation]]]:
    """Scores every choice behind every row, and yields each request with its choices, the chosen one first.

    Args:
      adapters: of K members, as `generation.generate` takes them.
      choices: for each request the texts to choose from, each with its tokens as what goes on after the row.
      per_token: compare log-probabilities divided by the number of tokens, which does not favour what is short.
      batch_size: rows with a choice that run together; 0: 32.

    Yields:
      (request, chosen): its `sequences` are all choices, the most probable first; `score` is what they are compared by.

    Raises:
      InputError: a row with a choice does not fit the model's positions, or the probabilities are not finite.
    """
    adapters = jax.tree.map(jnp.asarray, Injection.of(adapters))
    for request, offered in zip(requests, choices, strict=True):
        check_lengths(lm.decoder, adapters.positions, [request], max(len(tokens) for _, tokens in offered))
    for member in dict.fromkeys(request.adapter for request in requests):
        own = [i for i, request in enumerate(requests) if request.adapter == member]
        adapter = jax.tree.map(lambda leaf, k=member: leaf[k : k + 1], adapters)
        asked = [(i, c) for i in own for c in range(len(choices[i]))]
        rows = [(requests[i].tokens, choices[i][c][1]) for i, c in asked]
        scores: dict[int, dict[int, Generation]] = {i: {} for i in own}
        found = likelihood.score(lm.decoder, lm.params, adapter, rows, batch_size=batch_size or _TOGETHER)
        for place, scored in found:
            i, c = asked[place]
            check_finite(scored.log_probability, lm.name, requests[i].name)
            scores[i][c] = _generation(*choices[i][c], scored, per_token)
            if len(scores[i]) == len(choices[i]):
                each = scores.pop(i)
                ranked = sorted((each[c] for c in range(len(each))), key=lambda one: -one.score)  # ties: the first
                yield [(requests[i], _with(ranked))]


def confidence(chosen: Generation) -> float:
    """The probability of a chosen answer among its choices, by what they were compared by."""
    scores = np.array([each.score for each in chosen.sequences])
    return float(1 / np.exp(scores - scores[0]).sum())


def _generation(text: str, tokens: Sequence[int], scored: likelihood.Scored, per_token: bool) -> Generation:
    total = scored.log_probability
    score = total / len(tokens) if per_token else total
    return Generation(tuple(tokens), text, CHOICE, total, scored.token_log_probabilities, score)


def _with(ranked: Sequence[Generation]) -> Generation:
    return dataclasses.replace(ranked[0], sequences=tuple(ranked))
