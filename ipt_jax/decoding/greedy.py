"""Decoding without beams: the most probable next token again and again, or one that is drawn."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ipt_jax.decoding.processors import NO_PROCESSORS, Processors
from ipt_jax.decoding.sampling import Sampling
from ipt_jax.decoding.stopping import LENGTH, follow, is_end
from ipt_jax.decoding.strategy import Decoded, Model, Rows
from ipt_jax.models.attention.cached import Pair, empty_segment


class Written(NamedTuple):
    """What one step hands to the next.

    Attributes:
      count: i32[B], tokens written of every answer that has not stopped.
      token: i32[B, R], the newest.
      state: i32[B, R], of the stop table.
      generated: per layer, keys and values of what was written, see `models.attention.cached`.
      out: as [B, R, …].
      open: bool[B], whether any answer goes on.
    """

    count: jax.Array
    token: jax.Array
    state: jax.Array
    generated: tuple[Pair, ...]
    out: Decoded
    open: jax.Array


@dataclasses.dataclass(frozen=True)
class Greedy:
    """A `Strategy`: one answer for each row, or as many as there are keys to draw them with.

    Attributes:
      max_new_tokens: M; P + lengths + M must not pass the model's positions (checked by the caller).
      processors: rules that change the scores.
      sampling: how to draw; None takes the most probable token.
      held_tokens: tokens before which no stop text ends a row.
    """

    max_new_tokens: int
    processors: Processors = NO_PROCESSORS
    sampling: Sampling | None = None
    held_tokens: int = 0

    def begin(self, model: Model, rows: Rows, last_hidden: jax.Array) -> Written:
        batch, answers = len(rows.lengths), 1 if rows.keys is None else rows.keys.shape[1]
        nothing = Decoded(
            tokens=jnp.zeros((batch, answers, self.max_new_tokens), jnp.int32),
            lengths=jnp.zeros((batch, answers), jnp.int32),
            token_log_probabilities=jnp.zeros((batch, answers, self.max_new_tokens), jnp.float32),
            stop=jnp.full((batch, answers), LENGTH, jnp.int32),
            score=jnp.zeros((batch, answers), jnp.float32),
        )
        zeros = jnp.zeros((batch, answers), jnp.int32)
        segment = empty_segment(rows.context, answers, self.max_new_tokens)
        written = Written(jnp.zeros(batch, jnp.int32), zeros, zeros, segment, nothing, jnp.ones(batch, bool))
        hidden = jnp.broadcast_to(last_hidden[:, None], (batch, answers, last_hidden.shape[-1]))
        return self._choose(model, rows, written, hidden)

    def advance(self, model: Model, rows: Rows, carried: Written, entry: jax.Array) -> Written:
        hidden, generated = model.step(rows, carried.token, carried.generated, carried.count, entry)
        return self._choose(model, rows, carried._replace(generated=generated), hidden)

    def live(self, carried: Written) -> jax.Array:
        return carried.open

    def result(self, carried: Written) -> Decoded:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), carried.out)

    def _choose(self, model: Model, rows: Rows, written: Written, hidden: jax.Array) -> Written:
        """Writes a token of every answer that has not stopped, and notes whether it stops there."""
        out, count = written.out, written.count
        logits = model.decoder.project(model.params, hidden)
        scores = self.processors(logits, rows.tokens, rows.lengths, out.tokens, count, is_end(model.stops))
        if self.sampling is None:
            token = jnp.argmax(scores, axis=-1).astype(jnp.int32)
        else:
            token = self.sampling.draw(scores, rows.keys, out.lengths)
        log_probability = jnp.take_along_axis(logits, token[..., None], axis=-1)[..., 0]
        log_probability -= jax.nn.logsumexp(logits, axis=-1)
        going = (out.stop == LENGTH) & written.open[:, None]
        token = jnp.where(going, token, 0)
        log_probability = jnp.where(going, log_probability, 0.0)
        state, kind = follow(model.stops, written.state, token, (count < self.held_tokens)[:, None])
        here = (jnp.arange(self.max_new_tokens)[None, :] == count[:, None])[:, None] & going[..., None]
        out = Decoded(
            tokens=jnp.where(here, token[..., None], out.tokens),
            lengths=out.lengths + going,
            token_log_probabilities=jnp.where(here, log_probability[..., None], out.token_log_probabilities),
            stop=jnp.where(going, kind, out.stop),
            score=out.score + log_probability,
        )
        still = (out.stop == LENGTH).any(axis=1) & (count + 1 < self.max_new_tokens)
        return Written(
            count=jnp.minimum(count + 1, self.max_new_tokens),
            token=token,
            state=state,
            generated=written.generated,
            out=out,
            open=written.open & still,
        )
