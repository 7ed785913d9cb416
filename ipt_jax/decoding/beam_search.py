"""Beam search with the meaning of Hugging Face's `num_beams`, `length_penalty` and `early_stopping`."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ipt_jax.decoding.processors import NO_PROCESSORS, Processors
from ipt_jax.decoding.stopping import LENGTH, follow, is_end
from ipt_jax.decoding.strategy import Decoded, Model, Rows
from ipt_jax.models.attention.cached import Pair, empty_segment

# As in the reference: low enough never to be chosen, finite so that differences of it stay numbers.
_NEVER = -1e9


class Finished(NamedTuple):
    """The best finished hypotheses of each example, best first; empty places score `_NEVER`.

    Attributes:
      tokens: i32[B, W, M]; lengths, stop: i32[B, W].
      score: f32[B, W], the sum of processed log-probabilities / length ** length_penalty.
      token_log_probabilities: f32[B, W, M], each token's by the model itself, without processors or penalty.
      full: bool[B, W], whether the place holds a hypothesis.
    """

    tokens: jax.Array
    lengths: jax.Array
    stop: jax.Array
    score: jax.Array
    token_log_probabilities: jax.Array
    full: jax.Array


class Beams(NamedTuple):
    """What one step hands to the next, the open beams best first.

    Attributes:
      count: i32[B], tokens of every open beam.
      newest: i32[B, W], their last token.
      tokens: i32[B, W, M]; token_log_probabilities: f32[B, W, M], as in `Finished`.
      state: i32[B, W], of the stop table.
      running: f32[B, W], sums of processed log-probabilities.
      generated: per layer, keys and values of what was written, see `models.attention.cached`.
      origins: i32[B, W, M], the beam that wrote what each beam has at an entry of the ring of `generated`.
      open: bool[B], whether an open beam may still beat a finished one.
    """

    count: jax.Array
    newest: jax.Array
    tokens: jax.Array
    token_log_probabilities: jax.Array
    state: jax.Array
    running: jax.Array
    generated: tuple[Pair, ...]
    origins: jax.Array
    finished: Finished
    open: jax.Array


@dataclasses.dataclass(frozen=True)
class BeamSearch:
    """A `Strategy`: the hypotheses with the best scores among those that `num_beams` beams find, best first.

    Attributes:
      max_new_tokens: M; P + lengths + M must not pass the model's positions (checked by the caller).
      length_penalty: the exponent of the length that a log-probability is divided by.
      early_stopping: True: stop when `num_beams` hypotheses are finished; False: when no open beam, at its
        present length, scores above the worst of them; "never": nor at the length that would favour it most.
      end_tokens: how many end tokens there are; decides how many candidates a step keeps.
      num_return_sequences: R, hypotheses of each row; at most `num_beams`.
      processors: rules that change the log-probabilities that beams are ranked by.
      held_tokens: tokens before which no stop text ends a hypothesis.

    Source: `_beam_search` of transformers 5, whose tokens and scores it reproduces.
    """

    max_new_tokens: int
    num_beams: int
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    end_tokens: int = 1
    num_return_sequences: int = 1
    processors: Processors = NO_PROCESSORS
    held_tokens: int = 0

    def begin(self, model: Model, rows: Rows, last_hidden: jax.Array) -> Beams:
        shape = (len(rows.lengths), self.num_beams)
        zeros, flags, never = jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool), jnp.full(shape, _NEVER, jnp.float32)
        tokens = jnp.zeros((*shape, self.max_new_tokens), jnp.int32)
        each = jnp.zeros(tokens.shape, jnp.float32)
        beams = Beams(
            count=jnp.zeros(shape[:1], jnp.int32),
            newest=zeros,
            tokens=tokens,
            token_log_probabilities=each,
            state=zeros,
            running=never.at[:, 0].set(0.0),  # all beams start alike: only the first one counts
            generated=empty_segment(rows.context, self.num_beams, self.max_new_tokens),
            origins=tokens,
            finished=Finished(tokens, zeros, zeros, never, each, flags),
            open=jnp.ones(shape[:1], bool),
        )
        return self._extend(model, rows, beams, jnp.broadcast_to(last_hidden[:, None], (*shape, last_hidden.shape[-1])))

    def advance(self, model: Model, rows: Rows, carried: Beams, entry: jax.Array) -> Beams:
        here = (jnp.arange(self.max_new_tokens) == entry)[None, None]
        origins = jnp.where(here, jnp.arange(self.num_beams)[None, :, None], carried.origins)
        hidden, generated = model.step(rows, carried.newest, carried.generated, carried.count, entry, origins)
        return self._extend(model, rows, carried._replace(generated=generated, origins=origins), hidden)

    def live(self, carried: Beams) -> jax.Array:
        return carried.open

    def result(self, carried: Beams) -> Decoded:
        best = jax.tree.map(
            lambda leaf: leaf[:, : self.num_return_sequences].reshape(-1, *leaf.shape[2:]), carried.finished
        )
        within = jnp.arange(self.max_new_tokens)[None, :] < best.lengths[:, None]
        return Decoded(
            tokens=jnp.where(within, best.tokens, 0),
            lengths=best.lengths,
            token_log_probabilities=jnp.where(within, best.token_log_probabilities, 0.0),
            stop=best.stop,
            score=best.score,
        )

    def _extend(self, model: Model, rows: Rows, beams: Beams, hidden: jax.Array) -> Beams:
        """Chooses the next token of every beam from hidden states [B, W, D]."""
        batch, vocabulary, kept = len(rows.lengths), model.decoder.config.vocab_size, self._kept()
        own = jax.nn.log_softmax(model.decoder.project(model.params, hidden), axis=-1)
        ranked = self.processors(own, rows.tokens, rows.lengths, beams.tokens, beams.count, is_end(model.stops))
        # The best `kept` of all continuations are among the best `kept` of each beam's own.
        values, ids = jax.lax.top_k(ranked + beams.running[..., None], min(kept, vocabulary))
        values, places = jax.lax.top_k(values.reshape(batch, -1), kept)
        parents = places // ids.shape[-1]
        chosen = _gather(ids.reshape(batch, -1), places)
        each = _gather(jnp.take_along_axis(own, ids, axis=-1).reshape(batch, -1), places)
        here = (jnp.arange(self.max_new_tokens)[None, :] == beams.count[:, None])[:, None]
        candidates = jnp.where(here, chosen[..., None], _gather(beams.tokens, parents))
        each = jnp.where(here, each[..., None], _gather(beams.token_log_probabilities, parents))
        held = (beams.count < self.held_tokens)[:, None]
        state, kind = follow(model.stops, _gather(beams.state, parents), chosen, held)
        length = beams.count + 1
        ends = (kind != LENGTH) | (length >= self.max_new_tokens)[:, None]

        going, order = jax.lax.top_k(values + ends * _NEVER, self.num_beams)
        finished = self._update(beams, candidates, each, values, ends, kind, length)
        favour = self.early_stopping == "never" and self.length_penalty > 0.0
        reachable = jnp.full_like(length, self.max_new_tokens) if favour else length
        best = going[:, 0] / reachable.astype(jnp.float32) ** self.length_penalty
        worst = jnp.where(finished.full, finished.score.min(axis=1, keepdims=True), _NEVER)
        still = beams.open & (best[:, None] > worst).any(axis=1) & ~ends.all(axis=1)
        if self.early_stopping is True:
            still &= ~finished.full.all(axis=1)
        return Beams(
            count=jnp.minimum(length, self.max_new_tokens),  # rows that are done stay within the model's positions
            newest=_gather(chosen, order),
            tokens=_gather(candidates, order),
            token_log_probabilities=_gather(each, order),
            state=_gather(state, order),
            running=going,
            generated=beams.generated,
            origins=_gather(beams.origins, _gather(parents, order)),
            finished=finished,
            open=still,
        )

    def _update(self, beams, candidates, each, values, ends, kind, length) -> Finished:
        """Only the best `num_beams` candidates can finish; the rest are there so that enough beams go on."""
        finishing = ends & (jnp.arange(self._kept()) < self.num_beams)[None, :]
        score = values / length.astype(jnp.float32)[:, None] ** self.length_penalty
        score += (~beams.open[:, None] | ~finishing) * _NEVER
        lengths = jnp.broadcast_to(length[:, None], kind.shape)
        fresh = Finished(candidates, lengths, kind, score, each, finishing)
        merged = jax.tree.map(lambda old, new: jnp.concatenate([old, new], axis=1), beams.finished, fresh)
        _, order = jax.lax.top_k(merged.score, self.num_beams)
        return jax.tree.map(lambda leaf: _gather(leaf, order), merged)

    def _kept(self) -> int:
        """Candidates of a step: so many that beams go on even if every one of the best ends."""
        return max(2, 1 + self.end_tokens) * self.num_beams


def _gather(leaf: jax.Array, order: jax.Array) -> jax.Array:
    """leaf [B, X, …] at order i32[B, Y] → [B, Y, …]."""
    return jnp.take_along_axis(leaf, order.reshape(*order.shape, *[1] * (leaf.ndim - 2)), axis=1)
