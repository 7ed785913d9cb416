"""What an adapter puts into the frozen decoder: rows, keys and values before them, changes of linear maps."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ipt_jax.models.attention.rule import Pair
from ipt_jax.models.changes import Changed, Changes


class Injection(NamedTuple):
    """Of K members; every leaf has a leading member axis. In a row stand keys and values, rows, then its tokens.

    Attributes:
      rows: f32[K, P, E], embeddings that stand before the tokens; P may be 0.
      before: keys and values f32[K, L, Q, G, H] of Q positions that stand before the rows, of every layer; or None.
      changes: of linear maps, weights [K, L, …]; or None.
    """

    rows: jax.Array
    before: Pair | None = None
    changes: Changes | None = None

    @classmethod
    def of(cls, given: Injection | jax.Array) -> Injection:
        """An array f32[K, P, E] is rows alone."""
        return given if isinstance(given, Injection) else cls(given)

    def behind(self, embeddings: jax.Array) -> Injection:
        """The same with embeddings [F, E] before the rows of every member, of a BOS that the rows stand behind."""
        before = jnp.broadcast_to(embeddings.astype(self.rows.dtype), (len(self.rows), *embeddings.shape))
        return self._replace(rows=jnp.concatenate([before, self.rows], axis=1))

    @property
    def positions(self) -> int:
        """P + Q: how many positions stand before a row's tokens."""
        return self.rows.shape[1] + (0 if self.before is None else self.before[0].shape[2])

    def changed(self, params: Any, spread: Any) -> Any:
        """The decoder's parameters with the changes, if there are any.

        Args:
          spread: [K, …] → [I, J, …]: which rows are whose, see `Changes`.
        """
        if self.changes is None:
            return params
        weights = jax.tree.map(lambda x: _layers_first(spread(x)), self.changes.weights)
        return Changed(params, Changes(weights, self.changes.rule))

    def changed_for(self, params: Any, members: jax.Array) -> Any:
        """The decoder's parameters for rows of members i32[B], in any order, with the changes, if there are any."""
        return changed_for(params, self.changes, members)

    def known(self, spread: Any, dtype: Any) -> Pair | None:
        """Keys and values [L, I, J, Q, G, H], as `FrozenDecoder.hidden_at` takes them; `spread` as in `changed`."""
        return jax.tree.map(lambda x: _layers_first(spread(x)).astype(dtype), self.before)


def changed_for(params: Any, changes: Changes | None, members: jax.Array) -> Any:
    """See `Injection.changed_for`; `changes` are those of an injection."""
    if changes is None:
        return params
    weights = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1)[:, :, None], changes.weights)
    alone = jax.tree.leaves(weights)[0].shape[1] == 1
    return Changed(params, Changes(weights, changes.rule, None if alone else members))


def for_all(x: jax.Array) -> jax.Array:
    """[1, …] → [1, 1, …], the `spread` of one adapter that all rows go by."""
    return x[:, None]


def _layers_first(x: jax.Array) -> jax.Array:
    """[I, J, L, …] → [L, I, J, …]."""
    return x.transpose(2, 0, 1, *range(3, x.ndim))


class Adapter(Protocol):
    """The functions of a population's trained parameters; frozen and hashable, so static to `jax.jit`."""

    def fold(self, params: Any) -> Any:
        """What is kept of the parameters: an array or a dict of arrays, with leading axis K."""

    def inject(self, folded: Any) -> Injection:
        """What the decoder gets of that."""
