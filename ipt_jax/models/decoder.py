"""The one decoder that every family runs on, and its face as pure functions of frozen parameters."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ipt_jax.models.attention import cached
from ipt_jax.models.attention.blocked import blocked_attention
from ipt_jax.models.attention.cached import Cursor
from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import Pair, ScoreRule, alibi_slopes, behind, plain_attention
from ipt_jax.models.blocks import Block, Linear, Norm, times_rows, turn
from ipt_jax.models.changes import Changed, Changes
from ipt_jax.models.config import DecoderConfig, LayerTraits
from ipt_jax.models.rematerialisation import REMATERIALISATIONS

_FEW_ROWS = 128  # as many are projected in a step of decoding; turning the logits of more costs more than it saves


class Decoder(nnx.Module):
    """Token embedding, a stack of blocks, a final norm, an output projection. Build it under `nnx.eval_shape`.

    Attributes:
      changes: what an adapter changes in the blocks' linear maps, or None; no part of the module's state.
    """

    def __init__(self, config: DecoderConfig, dtype: Any = jnp.float32):
        c = config
        self.config, self.changes = config, None
        self.embedding = nnx.Param(jnp.zeros((c.vocab_size, c.embed_dim), dtype))
        learned, projected = c.positions == "learned", c.embed_dim != c.hidden_dim
        self.position_embedding = nnx.Param(jnp.zeros((c.max_positions, c.hidden_dim), dtype)) if learned else None
        self.embedding_norm = Norm((), c.embed_dim, c, dtype) if c.embedding_norm else None
        self.project_in = Linear((), c.embed_dim, c.hidden_dim, False, dtype) if projected else None
        self.blocks = Block((c.num_layers,), c, dtype)
        self.final_norm = Norm((), c.hidden_dim, c, dtype) if c.final_norm else None
        self.project_out = Linear((), c.hidden_dim, c.embed_dim, False, dtype) if projected else None
        self.head = None if c.tied_head else nnx.Param(jnp.zeros((c.vocab_size, c.embed_dim), dtype))

    def embed(self, tokens: jax.Array) -> jax.Array:
        rows = self.embedding[...][tokens]
        scale = self.config.embedding_scale
        return rows if scale == 1.0 else rows * jnp.asarray(scale, rows.dtype)

    def enter(self, embeddings: jax.Array, positions: jax.Array) -> tuple[jax.Array, tuple[Any, ...]]:
        """What the first block sees, and the angles of each rotary embedding (none without them)."""
        x = embeddings if self.embedding_norm is None else self.embedding_norm(embeddings)
        x = x if self.project_in is None else self.project_in(x)
        if self.position_embedding is not None:
            x = x + self.position_embedding[...][positions]
        return x, tuple(rotary.angles(positions) for rotary in self.config.rotaries)

    def rule(self, traits: LayerTraits) -> ScoreRule:
        c = self.config
        slopes = alibi_slopes(c.num_heads) if c.positions == "alibi" else None
        return ScoreRule(traits.score_scale, c.score_softcap, slopes, traits.window)

    def block(self, index: int | jax.Array, changes: Changes | None = None) -> tuple[Block, LayerTraits]:
        """One layer with its changes (given, or those of the decoder), and its numbers: arrays where layers differ."""
        block_def, stacked = nnx.split(self.blocks)
        common, varying = _scannable(self.config)
        weights, numbers = jax.tree.map(lambda x: jnp.asarray(x)[index], (stacked, varying))
        block = nnx.merge(block_def, weights)
        if self.changes is not None:
            (self.changes.of_layer(index) if changes is None else changes).put_on(block)
        return block, LayerTraits(**common, **numbers)

    def run(
        self,
        x: jax.Array,
        angles: tuple[Any, ...],
        attend,
        layers: int,
        rematerialisation: str,
        before: Pair | None = None,
        keep: bool = False,
    ) -> tuple[jax.Array, Pair | None]:
        """Whole rows through the first so many layers, one of them compiled once.

        Args:
          x, angles: from `enter`.
          attend: (query, key, value, `ScoreRule`, keys and values before them or None) → what attention gives.
          rematerialisation: what a gradient finds of each layer, see `REMATERIALISATIONS`.
          before: keys and values of each layer that stand before the rows, with a leading axis of layers.
          keep: whether the rows' own keys and values are wanted.

        Returns:
          What the layers make of x, and keys and values [L, B, T, G, H] of each of them, if wanted.
        """

        # Layers are taken from the stack by index: all but the last as a slice of their own would be a copy of them.
        def layer(x, numbered):
            index, known, changes = numbered
            block, traits = self.block(index, changes)
            rule = self.rule(traits)

            def attend_and_keep(query, key, value):
                return attend(query, key, value, rule, known), (key, value) if keep else None

            return block(x, _chosen(angles, traits.rotary), attend_and_keep)

        before, changes = jax.tree.map(lambda x: x[:layers], (before, self.changes))
        return jax.lax.scan(REMATERIALISATIONS[rematerialisation](layer), x, (jnp.arange(layers), before, changes))

    def normalise(self, hidden: jax.Array) -> jax.Array:
        hidden = hidden if self.final_norm is None else self.final_norm(hidden)
        return hidden if self.project_out is None else self.project_out(hidden)

    def project(self, normalised: jax.Array) -> jax.Array:
        table = self.embedding if self.head is None else self.head
        if _turns() and normalised.size < _FEW_ROWS * normalised.shape[-1]:
            logits = times_rows(normalised, table[...], jnp.float32)
        else:
            logits = jnp.einsum("...e,ve->...v", normalised, table[...], preferred_element_type=jnp.float32)
        cap = self.config.logit_softcap
        return logits if cap is None else cap * jnp.tanh(logits / cap)


def _turns() -> bool:
    """Whether steps of few rows take weights as rows, see `times_rows`."""
    return jax.default_backend() == "cpu"


def _positions(embeddings: jax.Array) -> jax.Array:
    """i32[B, T]: 0 … T - 1 in every row."""
    return jnp.broadcast_to(jnp.arange(embeddings.shape[1])[None, :], embeddings.shape[:2])


def _scannable(config: DecoderConfig) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The layers' traits as those that all share, and those that differ as arrays [L] for a scan."""
    common, varying = {}, {}
    for name, values in zip(LayerTraits._fields, zip(*config.traits(), strict=True), strict=True):
        if len(set(values)) == 1:
            common[name] = values[0]
        elif name == "window":  # a number for every layer: one that sees everything has the widest window
            varying[name] = np.array([config.max_positions if value is None else value for value in values], np.int32)
        else:
            varying[name] = np.array(values, np.int32 if name == "rotary" else np.float32)
    return common, varying


def _chosen(angles: tuple[Any, ...], rotary: int | jax.Array) -> Any:
    """The angles of one rotary embedding; None where there is none."""
    if not angles:
        return None
    if isinstance(rotary, int):
        return angles[rotary]
    return jax.tree.map(lambda *each: jnp.stack(each)[rotary], *angles)


@dataclasses.dataclass(frozen=True)
class FrozenDecoder:
    """The decoder as pure functions `f(params, …)`: what everything outside `models/` works with.

    The parameters are its own, or `Changed` ones: then every function is that of the changed model.

    Hashable and free of arrays, so that it can be a static argument of `jax.jit`. Rows are padded on the
    right; position t of a row is t, prompt rows counted, so that padding never changes an answer.

    Attributes:
      attention: see `causal_attention`.
      parts: devices that share the parameters, see `models.sharding`.
    """

    config: DecoderConfig
    graphdef: Any
    attention: str = "xla"
    parts: int = 1

    @classmethod
    def abstract(
        cls, config: DecoderConfig, dtype: Any, attention: str = "xla", parts: int = 1
    ) -> tuple[FrozenDecoder, Any]:
        """The decoder and its parameters as shapes only: nothing is allocated or drawn at random."""
        graphdef, shapes = nnx.split(nnx.eval_shape(lambda: Decoder(config, dtype)))
        return cls(config, graphdef, attention, parts), shapes

    def _merged(self, params: Any) -> Decoder:
        """The decoder with its parameters, and with what changes them where they are `Changed`."""
        if not isinstance(params, Changed):
            return nnx.merge(self.graphdef, params)
        decoder = nnx.merge(self.graphdef, params.params)
        object.__setattr__(decoder, "changes", params.changes)  # arrays that are no part of the module's state
        return decoder

    def embed(self, params: Any, tokens: jax.Array) -> jax.Array:
        """i32[...] → [..., E], before positions are added: the space in which a soft prompt lives."""
        return self._merged(params).embed(tokens)

    def hidden(self, params: Any, embeddings: jax.Array) -> jax.Array:
        """[B, T, E] → last hidden states [B, T, D], before the final norm (`project` applies it).

        The norm waits for `project` because only the rows that are projected need it.
        """
        decoder = self._merged(params)
        attend = functools.partial(causal_attention, implementation=self.attention)
        with jax.default_matmul_precision("highest"):
            x, angles = decoder.enter(embeddings, _positions(embeddings))
            return decoder.run(x, angles, attend, self.config.num_layers, "none")[0]

    def beginning(
        self, params: Any, embeddings: jax.Array, rematerialisation: str = "dots", before: Pair | None = None
    ) -> Pair:
        """Keys and values of rows that others stand behind, made for gradients: [B, P, E] → twice [L, B, P, G, H].

        Args:
          rematerialisation: a key of `REMATERIALISATIONS`.
          before: as in `hidden_at`, one for each row (B = I · J); the result begins with them.
        """
        decoder, last = self._merged(params), self.config.num_layers - 1
        known = 0 if before is None else before[0].shape[3]
        with jax.default_matmul_precision("highest"):
            x, angles = decoder.enter(embeddings, known + _positions(embeddings))
            x, kept = decoder.run(x, angles, self._attend_for_gradients, last, rematerialisation, before, keep=True)
            block, traits = decoder.block(last)
            made = block.keys_values(block.before_attention(x), _chosen(angles, traits.rotary))
            made = jax.tree.map(lambda layers, final: jnp.concatenate([layers, final[None]]), kept, made)
            if before is None:
                return made
            of_rows = jax.tree.map(lambda x: x.reshape(x.shape[0], -1, *x.shape[3:]), before)
            return jax.tree.map(lambda first, own: jnp.concatenate([first, own], axis=2), of_rows, made)

    def hidden_at(
        self,
        params: Any,
        embeddings: jax.Array,
        places: jax.Array,
        rematerialisation: str = "dots",
        before: Pair | None = None,
    ) -> jax.Array:
        """`hidden` at some positions only, made for gradients: [B, T, E], i32[B, R] → [B, R, D].

        Nothing reads the other rows of the last layer: it makes keys and values of them and no more.

        Args:
          places: indices into T.
          rematerialisation: a key of `REMATERIALISATIONS`.
          before: keys and values [L, I, J, P, G, H] of P positions that stand before the rows, of every layer, as
            `beginning` makes them; which row has which, see `causal_attention`.
        """
        decoder, last = self._merged(params), self.config.num_layers - 1
        known = 0 if before is None else before[0].shape[3]
        with jax.default_matmul_precision("highest"):
            x, angles = decoder.enter(embeddings, known + _positions(embeddings))
            x, _ = decoder.run(x, angles, self._attend_for_gradients, last, rematerialisation, before)
            block, traits = decoder.block(last)
            kept = block.keys_values(block.before_attention(x), _chosen(angles, traits.rotary))
            if before is not None:
                kept = behind((before[0][last], before[1][last]), *kept)
            positions = known + places

            def attend_all(query, _key, _value):  # not to the keys and values of the chosen rows alone
                return plain_attention(query, *kept, decoder.rule(traits), positions), None

            x = jnp.take_along_axis(x, places[..., None], axis=1)
            angles = tuple(rotary.angles(positions) for rotary in self.config.rotaries)
            return block(x, _chosen(angles, traits.rotary), attend_all)[0]

    @property
    def _attend_for_gradients(self):
        if self.attention == "xla":
            return blocked_attention
        return functools.partial(causal_attention, implementation=self.attention)

    def normalise(self, params: Any, hidden: jax.Array) -> jax.Array:
        """The final norm: [..., D] → hidden states [..., E] as Hugging Face's `last_hidden_state` gives them."""
        with jax.default_matmul_precision("highest"):
            return self._merged(params).normalise(hidden)

    def project(self, params: Any, hidden: jax.Array) -> jax.Array:
        """Hidden states [..., D] of `hidden` → logits f32[..., V]. Gather the rows you need first."""
        decoder = self._merged(params)
        with jax.default_matmul_precision("highest"):
            return decoder.project(decoder.normalise(hidden))

    def output_table(self, params: Any) -> jax.Array:
        """[V, E]: a token's logit is its row times the normalised hidden state, then the config's `logit_softcap`."""
        decoder = self._merged(params)
        return (decoder.embedding if decoder.head is None else decoder.head)[...]

    def prefill(
        self, params: Any, embeddings: jax.Array, last: jax.Array, before: tuple[jax.Array, jax.Array] | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Runs whole rows for what comes after them: the cache, and the one hidden state that chooses the next token.

        Args:
          embeddings: [B, T, E].
          last: i32[B], the index into T of each row's last real position.
          before: keys and values of S positions that the rows have in common and that stand before them, of every
            layer, as this function returns them.

        Returns:
          The hidden states [B, D] of `hidden` at `last`, and the keys [L, B, G, H, S + T] and values
          [L, B, G, S + T, H] of every layer.
        """
        decoder, final = self._merged(params), self.config.num_layers - 1
        known = 0 if before is None else before[1].shape[-2]

        def extend(index, key, value):
            return cached.extend(None if before is None else jax.tree.map(lambda x: x[index], before), key, value)

        def layer(x, index):
            block, traits = decoder.block(index)
            rule = decoder.rule(traits)

            def attend(query, key, value):
                kept = extend(index, key, value)
                if self.attention == "xla" or before is not None:
                    return cached.prefill_attention(query, kept, rule), kept
                return causal_attention(query, key, value, rule, implementation=self.attention), kept

            return block(x, _chosen(angles, traits.rotary), attend)

        with jax.default_matmul_precision("highest"):
            x, angles = decoder.enter(embeddings, known + _positions(embeddings))
            x, (keys, values) = jax.lax.scan(layer, x, jnp.arange(final))
            # Every key and value of the last layer is kept, but only one row goes on from it.
            block, traits = decoder.block(final)
            kept = extend(final, *block.keys_values(block.before_attention(x), _chosen(angles, traits.rotary)))

            def attend_last(query, _key, _value):
                end = Cursor(known + last + 1, jnp.int32(-1))
                return cached.cached_attention(query, kept, None, end, decoder.rule(traits)), None

            x = jnp.take_along_axis(x, last[:, None, None], axis=1)
            angles = tuple(rotary.angles(known + last[:, None]) for rotary in self.config.rotaries)
            x, _ = block(x, _chosen(angles, traits.rotary), attend_last)
        return x[:, 0], (jnp.concatenate([keys, kept[0][None]]), jnp.concatenate([values, kept[1][None]]))

    def unstack(self, params: Any) -> tuple[Any, ...]:
        """The blocks' parameters layer by layer, as `step` takes them.

        Slicing them out of the stack in every step would copy them.
        """
        decoder = self._merged(params)
        _, stacked = nnx.split(turn(decoder.blocks) if _turns() else decoder.blocks)
        return tuple(jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(self.config.num_layers))

    def step(
        self,
        params: Any,
        layers: tuple[Any, ...],
        embeddings: jax.Array,
        context: tuple[tuple[jax.Array, jax.Array], ...],
        generated: tuple[tuple[jax.Array, jax.Array], ...],
        cursor: Cursor,
    ) -> tuple[jax.Array, tuple[tuple[jax.Array, jax.Array], ...]]:
        """One new token of every beam of every row.

        Args:
          layers: from `unstack`.
          embeddings: [B, W, E] of the newest tokens; their position is `context_lengths + step` of the cursor.
          context: per layer, keys [B, G, H, S] and values [B, G, S, H] of everything before generation; never written.
          generated: per layer, keys [B, G, H, X] and values [B, G, X, H] of X = M · W, a ring; the cursor's entry is
            written, one more at each step, modulo M.

        Returns:
          Hidden states [B, W, D] as of `hidden`, and the generated segment with the new entry.
        """
        decoder = self._merged(params)
        block_def, _ = nnx.split(turn(decoder.blocks) if _turns() else decoder.blocks)
        positions = jnp.broadcast_to((cursor.context_lengths + cursor.step)[:, None], embeddings.shape[:2])
        with jax.default_matmul_precision("highest"):
            x, angles = decoder.enter(embeddings, positions)
            written = []
            for i, traits in enumerate(self.config.traits()):

                def attend(query, key, value, i=i, traits=traits):
                    own = cached.write(generated[i], key, value, cursor.place)
                    return cached.cached_attention(query, context[i], own, cursor, decoder.rule(traits)), own

                block = nnx.merge(block_def, layers[i])
                if decoder.changes is not None:
                    decoder.changes.of_layer(i).put_on(block)
                x, kept = block(x, _chosen(angles, traits.rotary), attend)
                written.append(kept)
        return x, tuple(written)
