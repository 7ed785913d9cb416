"""What a search may not write again or may not write yet: repetition penalty, repeated n-grams, early ends."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp


class History(NamedTuple):
    """What stands before the next token of every row and beam, the soft prompt left out: it has no ids.

    Attributes:
      ids: i32[B, W, H], real up to `length`.
      length: i32[B], input tokens and what was written, together.
      written: i32[B] or i32[], tokens written.
    """

    ids: jax.Array
    length: jax.Array
    written: jax.Array

    @classmethod
    def of(cls, tokens: jax.Array, lengths: jax.Array, written: jax.Array, count: jax.Array) -> History:
        """Joins the inputs i32[B, T], of `lengths`, and the first `count` written tokens of i32[B, W, M].

        The first written token stands right after the row's last real one: no padding comes between.
        """
        batch, beams, _ = written.shape
        places = jnp.arange(tokens.shape[1] + written.shape[2])[None, None, :]
        after = places - lengths[:, None, None]
        shape = (batch, beams, places.shape[-1])
        before = jnp.broadcast_to(jnp.pad(tokens, ((0, 0), (0, written.shape[2])))[:, None], shape)
        behind = jnp.take_along_axis(written, jnp.clip(jnp.broadcast_to(after, shape), 0, written.shape[2] - 1), axis=2)
        return cls(jnp.where(after < 0, before, behind), lengths + count, count)


@dataclasses.dataclass(frozen=True)
class Processors:
    """The rules of a search, with Hugging Face's names and meanings; static to `jax.jit`.

    Attributes:
      repetition_penalty: 1.0 is none; no_repeat_ngram_size, min_new_tokens: 0 is none. See `Search`.

    Source: RepetitionPenaltyLogitsProcessor, NoRepeatNGramLogitsProcessor and MinNewTokensLengthLogitsProcessor of
    transformers 5, in the order in which its `generate` applies them.
    """

    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    min_new_tokens: int = 0

    def __call__(
        self,
        scores: jax.Array,
        tokens: jax.Array,
        lengths: jax.Array,
        written: jax.Array,
        count: jax.Array,
        ends: jax.Array,
    ) -> jax.Array:
        """Scores of the next token, as the rules leave them.

        Args:
          scores: f32[B, W, V], logits or log-probabilities.
          tokens, lengths: i32[B, T], i32[B], the inputs.
          written, count: i32[B, W, M] and i32[B] or i32[], what was written of them, and how many tokens that is.
          ends: bool[V], the end tokens.
        """
        if self.repetition_penalty != 1.0 or self.no_repeat_ngram_size:
            history = History.of(tokens, lengths, written, count)
            if self.repetition_penalty != 1.0:
                scores = penalise_repetition(scores, history, self.repetition_penalty)
            if self.no_repeat_ngram_size:
                scores = ban_repeated_ngrams(scores, history, self.no_repeat_ngram_size)
        if self.min_new_tokens:
            too_early = jnp.broadcast_to(count < self.min_new_tokens, lengths.shape)[:, None] & ends[None, :]
            scores = jnp.where(too_early[:, None, :], -jnp.inf, scores)
        return scores


NO_PROCESSORS = Processors()


def penalise_repetition(scores: jax.Array, history: History, penalty: float) -> jax.Array:
    """Divides positive scores of tokens in the history by the penalty and multiplies negative ones by it."""
    real = jnp.arange(history.ids.shape[-1])[None, None, :] < history.length[:, None, None]
    seen = jnp.take_along_axis(scores, history.ids, axis=-1)
    penalised = jnp.where(seen < 0, seen * penalty, seen / penalty)
    return _put(scores, jnp.where(real, history.ids, scores.shape[-1]), penalised)


def ban_repeated_ngrams(scores: jax.Array, history: History, size: int) -> jax.Array:
    """Forbids every token that would complete an n-gram of the history a second time.

    With size 3 and a history … a b c … a b, the next token may not be c.
    """
    ids, length = history.ids, history.length[:, None, None]
    starts = jnp.arange(ids.shape[-1] - size + 1)[None, None, :]
    last = ids[..., size - 1 :]
    repeats = starts + size <= length
    for j in range(size - 1):
        place = jnp.broadcast_to(jnp.maximum(length - size + 1 + j, 0), (*ids.shape[:2], 1))
        repeats &= ids[..., j : j + starts.shape[-1]] == jnp.take_along_axis(ids, place, axis=-1)
    return _put(scores, jnp.where(repeats, last, scores.shape[-1]), -jnp.inf)


def _put(scores: jax.Array, ids: jax.Array, values: jax.Array | float) -> jax.Array:
    """Scores f32[B, W, V] with `values` at ids i32[B, W, H]; an id of V puts nothing."""
    batch, beams, _ = scores.shape
    row, beam = jnp.arange(batch)[:, None, None], jnp.arange(beams)[None, :, None]
    return scores.at[row, beam, ids].set(values, mode="drop")
