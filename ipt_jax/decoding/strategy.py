"""What every way of decoding shares: rows with their prefilled context, and the texts that come out."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from ipt_jax.adapters.injection import changed_for
from ipt_jax.adapters.soft_prompt import prepend
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.shared_beginnings import Prefix
from ipt_jax.decoding.stopping import STOP_NAMES, STOP_TEXT, StopTokenizer, first_stop
from ipt_jax.models.attention.cached import Cursor, Pair
from ipt_jax.models.changes import Changes
from ipt_jax.models.decoder import FrozenDecoder


class Decoded(NamedTuple):
    """What a batch wrote: N = B · R rows, where R answers of one row stand beside one another.

    Attributes:
      tokens: i32[N, M], zero after the last one.
      lengths: i32[N], tokens written, the one that stopped the row counted.
      token_log_probabilities: f32[N, M], of each token by the model itself, before any processor; zero after the last.
      stop: i32[N], one of LENGTH, EOS, STOP_TEXT.
      score: f32[N], what beam search ranks by: the sum of processed log-probabilities / length ** length_penalty;
        the log-probability where there are no beams.
    """

    tokens: jax.Array
    lengths: jax.Array
    token_log_probabilities: jax.Array
    stop: jax.Array
    score: jax.Array


@dataclasses.dataclass(frozen=True)
class Generation:
    """One finished row.

    Attributes:
      tokens: the ids written, the one that stopped the row counted.
      text: up to the stop.
      stop: `eos`, `stop_text` or `length`.
      log_probability: of the tokens by the model itself; the sum of `token_log_probabilities`.
      score: what beam search ranks by, see `Decoded`.
      sequences: of `LanguageModel.generate`, where a row has several answers: all of them, this one first.
    """

    tokens: tuple[int, ...]
    text: str
    stop: str
    log_probability: float
    token_log_probabilities: tuple[float, ...]
    score: float
    sequences: tuple[Generation, ...] = ()


class Rows(NamedTuple):
    """What is known of rows before anything is written, and stays so. Every leaf has leading axis B.

    Attributes:
      context: per layer, keys [B, G, H, S] and values [B, G, S, H].
      context_lengths: i32[B], prompt rows counted.
      tokens, lengths: i32[B, T], i32[B], the inputs; padded on the right.
      keys: u32[B, R, 2] from `sampling.row_keys`, for R answers of each row; None where nothing is drawn.
      members: i32[B], whose adapter each row goes by.
    """

    context: tuple[Pair, ...]
    context_lengths: jax.Array
    tokens: jax.Array
    lengths: jax.Array
    keys: jax.Array | None
    members: jax.Array


class Entering(NamedTuple):
    """Rows that are to be run for the first time.

    Attributes:
      places: i32[B], which of the beginnings each has.
      members, tokens, lengths, keys: as in `Rows`; every length at least 1, or a beginning has rows.
    """

    places: jax.Array
    members: jax.Array
    tokens: jax.Array
    lengths: jax.Array
    keys: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """A frozen language model within a traced function.

    Attributes:
      layers: `params`, the blocks layer by layer, from `decoder.unstack`.
      stops: integers[S, V] from `stop_table`, or i32[V] with the kind of each token.
      changes: of linear maps, weights [K, L, …], by the adapters of K members; or None.
    """

    decoder: FrozenDecoder
    params: Any
    layers: tuple[Any, ...]
    stops: jax.Array
    changes: Changes | None = None

    def step(
        self,
        rows: Rows,
        newest: jax.Array,
        generated: tuple[Pair, ...],
        count: jax.Array,
        entry: jax.Array,
        origins: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[Pair, ...]]:
        """Runs the newest tokens i32[B, W], of `count` i32[B] written ones, and puts them at `entry` of their ring.

        Args:
          origins: see `Cursor`.

        Returns:
          Hidden states [B, W, D] and what was generated, see `models.attention.cached`.
        """
        embeddings = self.decoder.embed(self.params, newest)
        return self.decoder.step(
            changed_for(self.params, self.changes, rows.members),
            self.layers,
            embeddings,
            rows.context,
            generated,
            Cursor(rows.context_lengths, count - 1, entry, origins),
        )


class Strategy(Protocol):
    """A way to continue rows, token by token; without arrays and hashable, so static to `jax.jit`.

    What it carries from step to step is a pytree whose every leaf has leading axis B: rows can be taken out of it and
    others put in their places.
    """

    max_new_tokens: int

    def begin(self, model: Model, rows: Rows, last_hidden: jax.Array) -> Any:
        """Chooses the first token of each row from the hidden states [B, D] of its last position."""

    def advance(self, model: Model, rows: Rows, carried: Any, entry: jax.Array) -> Any:
        """Chooses one token more; the keys and values of the newest are written at `entry` i32[] of their ring."""

    def live(self, carried: Any) -> jax.Array:
        """bool[B]: which rows go on. Those that do not are no longer changed by `advance`; zeros are not live."""

    def result(self, carried: Any) -> Decoded:
        """What was written."""


def prefill(
    decoder: FrozenDecoder,
    params: Any,
    beginnings: jax.Array | Prefix,
    entering: Entering,
    changes: Changes | None = None,
) -> tuple[Rows, jax.Array]:
    """Runs what stands before each row, and its tokens, once.

    Args:
      beginnings: prompt rows f32[K, P, E], where P may be 0; or the `Prefix` that begins with them.
      changes: as in `Model`.

    Returns:
      The rows, and the hidden states [B, D] of each one's last position.
    """
    places, members, tokens, lengths, keys = entering
    params = changed_for(params, changes, members)
    if isinstance(beginnings, Prefix):
        before, prompt_rows, covered = beginnings.of_rows(places), beginnings.prompt_rows, beginnings.tokens
        embeddings, last = decoder.embed(params, tokens[:, covered:]), lengths - covered - 1
    else:
        before, prompt_rows = None, beginnings.shape[1]
        embeddings = prepend(beginnings[places], decoder.embed(params, tokens))
        last = prompt_rows + lengths - 1
    last_hidden, (of_keys, of_values) = decoder.prefill(params, embeddings, last, before)
    context = tuple(zip(of_keys, of_values, strict=True))  # one pair a layer, cut out of the stack once
    return Rows(context, prompt_rows + lengths, tokens, lengths, keys, members), last_hidden


def run(strategy: Strategy, model: Model, rows: Rows, carried: Any, entry: jax.Array, until: jax.Array | int) -> Any:
    """Continues rows until no more than `until` of them are live. Returns the next ring entry and what is carried."""

    def more(state):
        return strategy.live(state[1]).sum() > until

    def advance(state):
        entry, carried = state
        return (entry + 1) % strategy.max_new_tokens, strategy.advance(model, rows, carried, entry)

    return jax.lax.while_loop(more, advance, (entry, carried))


def finish(decoded: Decoded, tokenizer: StopTokenizer, search: Search) -> list[Generation]:
    """Arrays of a batch → N texts, each cut before the first stop text in it that counts.

    The text has the final word: a token that completes a stop text may hold other text before and behind it.
    """
    rows = []
    for ids, length, log_probabilities, why, score in zip(*map(np.asarray, decoded), strict=True):
        ids = tuple(int(i) for i in ids[:length])
        text = tokenizer.decode(ids)
        held = len(tokenizer.decode(ids[: search.held_tokens])) if search.held_tokens else 0
        cut = first_stop(text, search.stop, after_white_space=search.hold_stop_texts, held=held)
        if cut is not None:
            text, why = text[:cut], STOP_TEXT
        each = tuple(float(x) for x in log_probabilities[:length])
        rows.append(Generation(ids, text, STOP_NAMES[int(why)], sum(each), each, float(score)))
    return rows
