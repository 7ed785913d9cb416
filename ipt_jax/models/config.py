"""What differs between families of language models, as one frozen record that every family file fills in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax

from ipt_jax.models.rope import Rotary

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": functools.partial(jax.nn.gelu, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


class LayerTraits(NamedTuple):
    """The numbers in which layers of one model may differ. Everything else is the same code for all of them.

    Attributes:
      score_scale: what products of queries and keys are multiplied by.
      window: positions that a position sees, itself included; None for all before it.
      rotary: index into `DecoderConfig.rotaries`.
    """

    score_scale: float
    window: int | None
    rotary: int


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Names follow the axis legend in `ipt_jax.models`.

    Attributes:
      embed_dim: E, width of embeddings and soft prompts.
      hidden_dim: D, width of what runs through the blocks. Where it is not E, a projection leads in and one out.
      max_positions: positions the model was made for; a longer sequence is refused before it is compiled.
      norm: `layer_norm` (scale and bias) or `rms_norm` (scale only).
      norm_unit_offset: whether the stored scale is the scale minus 1.
      residual: how a block is wired, see `blocks.Block`: `pre_norm`, `post_norm`, `sandwich` or `parallel`.
      final_norm: whether a norm stands before the output projection.
      positions: `learned` (a table, added to the embeddings), `rotary` (a turn of queries and keys) or `alibi`
        (scores that fall with the distance).
      rotaries: the turns that layers choose from; empty unless `positions` is `rotary`.
      activation: a key of `ACTIVATIONS`.
      gated_mlp: whether the feed-forward layer has a gate beside its up projection (SwiGLU).
      qkv_bias, out_bias, mlp_bias: which projections carry a bias.
      query_key_norm: whether each head's query and key are normalised before they are turned.
      tied_head: whether the output projection is the token embedding.
      embedding_scale: what token embeddings are multiplied by. Not soft prompts, which are learned at that scale.
      embedding_norm: whether a norm stands between the embeddings, soft prompt included, and the first block.
      score_softcap, logit_softcap: c of c · tanh(x / c), applied to attention scores or to logits; None for neither.
      score_scales: of each layer; empty for H^-0.5 in all.
      windows: of each layer, None for a layer that sees everything; empty where all do.
      rotary_of_layer: index into `rotaries` of each layer; empty where all take the first.
    """

    vocab_size: int
    embed_dim: int
    hidden_dim: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp_dim: int
    max_positions: int
    norm: str
    norm_epsilon: float
    positions: str
    activation: str
    gated_mlp: bool
    qkv_bias: bool
    out_bias: bool
    mlp_bias: bool
    tied_head: bool
    residual: str = "pre_norm"
    final_norm: bool = True
    norm_unit_offset: bool = False
    query_key_norm: bool = False
    embedding_scale: float = 1.0
    embedding_norm: bool = False
    score_softcap: float | None = None
    logit_softcap: float | None = None
    rotaries: tuple[Rotary, ...] = ()
    score_scales: tuple[float, ...] = ()
    windows: tuple[int | None, ...] = ()
    rotary_of_layer: tuple[int, ...] = ()

    def traits(self) -> tuple[LayerTraits, ...]:
        """Of each layer. A window that reaches over all positions is none."""
        layers = self.num_layers
        return tuple(
            LayerTraits(scale, None if window is None or window >= self.max_positions else window, rotary)
            for scale, window, rotary in zip(
                self.score_scales or (self.head_dim**-0.5,) * layers,
                self.windows or (None,) * layers,
                self.rotary_of_layer or (0,) * layers,
                strict=True,
            )
        )
