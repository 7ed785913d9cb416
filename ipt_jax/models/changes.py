"""What an adapter changes in the decoder's linear maps, for rows of several members in one product."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import jax

from ipt_jax.errors import InputError
from ipt_jax.models.config import DecoderConfig


class Rule(Protocol):
    """How the weights of a place change its map, written for one member; hashable and without arrays."""

    def enter(self, weights: Any, x: jax.Array) -> jax.Array:
        """What the frozen map gets instead of x [..., in]."""

    def leave(self, weights: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        """What becomes of its result y [..., out]."""


@functools.partial(jax.tree_util.register_dataclass, data_fields=("weights", "members"), meta_fields=("rule",))
@dataclasses.dataclass(frozen=True)
class Changes:
    """The changes of all layers, or, from `of_layer` on, of one.

    Attributes:
      weights: of each changed place (see `places`), arrays [L, I, J, …]. A batch is I groups, one after another, of
        rows of which every J-th is the same member's, as `causal_attention` has it of keys and values.
      rule: what they do.
      members: i32[B], or None. With it weights are [L, K, 1, …], and row b goes by those of member `members[b]`:
        rows of members in any order, whose weights are gathered in each layer.
    """

    weights: dict[str, Any]
    rule: Rule
    members: jax.Array | None = None

    def of_layer(self, index: int | jax.Array) -> Changes:
        weights = jax.tree.map(lambda x: x[index], self.weights)
        if self.members is not None:
            weights = jax.tree.map(lambda x: x[self.members], weights)
        return Changes(weights, self.rule)

    def put_on(self, block: Any) -> None:
        """Lets the linear maps of a block go through these changes of its layer."""
        for place, weights in self.weights.items():
            object.__setattr__(getattr(block, place), "change", functools.partial(self._apply, weights))

    def _apply(self, weights: Any, x: jax.Array, project: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """x: [B, ..., in] → [B, ..., out]: the frozen map is one product for all members, theirs are batched."""
        y = project(_member_by_member(self.rule.enter, weights, x))
        return _member_by_member(self.rule.leave, weights, x, y)


@functools.partial(jax.tree_util.register_dataclass, data_fields=("params", "changes"), meta_fields=())
@dataclasses.dataclass(frozen=True)
class Changed:
    """The parameters of a decoder with changes: stands wherever the parameters alone do."""

    params: Any
    changes: Changes


def _member_by_member(function: Callable[..., jax.Array], weights: Any, *arrays: jax.Array) -> jax.Array:
    """`function(weights of a member, arrays [R, …] of its rows)` for all rows [B, …] of all members."""
    outer, inner = jax.tree.leaves(weights)[0].shape[:2]
    if outer == inner == 1:
        return function(jax.tree.map(lambda x: x[0, 0], weights), *arrays)
    grouped = [x.reshape(outer, -1, inner, *x.shape[1:]) for x in arrays]
    of_group = jax.vmap(function, in_axes=(0, *[1] * len(arrays)), out_axes=1)
    result = jax.vmap(of_group)(weights, *grouped)
    return result.reshape(len(arrays[0]), *result.shape[3:])


def places(config: DecoderConfig) -> dict[str, tuple[int, int]]:
    """The linear maps of a layer, each with its widths (in, out).

    >>> from ipt_jax.models.families import gpt2
    >>> places(gpt2.config_from_hf({"vocab_size": 9, "n_embd": 8, "n_head": 2, "n_layer": 1}))["up"]
    (8, 32)
    """
    query, kv = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    hidden, inner = config.hidden_dim, config.mlp_dim
    found = {"query": (hidden, query), "key": (hidden, kv), "value": (hidden, kv), "out": (query, hidden)}
    found |= {"gate": (hidden, inner)} if config.gated_mlp else {}
    return found | {"up": (hidden, inner), "down": (inner, hidden)}


def check_places(named: tuple[str, ...], config: DecoderConfig, place: str) -> None:
    """Raises InputError for a name that is no linear map of the model; `place` is the setting that has it."""
    known = places(config)
    for name in named:
        if name not in known:
            raise InputError(f"{place}: {name!r} is no linear map of this model; it has {', '.join(known)}")
