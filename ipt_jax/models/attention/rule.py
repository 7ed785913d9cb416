"""The rules that families add to the scores of attention, and attention written out."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

# Keys and values.
Pair = tuple[jax.Array, jax.Array]


# Large and finite: a row that sees nothing stays finite instead of becoming NaN.
MASKED = -1e30


@dataclasses.dataclass(frozen=True)
class ScoreRule:
    """What happens to the products of queries and keys before the softmax, in this order.

    Attributes:
      scale: what they are multiplied by; an array where layers differ and are scanned.
      softcap: c of c · tanh(score / c) (Gemma 2), or None.
      slopes: f32[N], ALiBi: the score falls by slope × distance (arXiv 2108.12409), or None.
      window: a position sees itself and the `window - 1` positions before it; None: all of them.
    """

    scale: float | jax.Array
    softcap: float | None = None
    slopes: np.ndarray | None = None
    window: int | jax.Array | None = None

    def apply(self, products: jax.Array, distances: jax.Array, seen: jax.Array) -> jax.Array:
        """Scores, ready for the softmax.

        Args:
          products: f32[..., G, N/G, ?, S], queries times keys, heads grouped as in `cached_attention`.
          distances: i32, the query's position minus the key's, of a shape that broadcasts to `products`.
          seen: bool, of the same shape, what the query may see if there is no window.
        """
        scores = products * self.scale
        if self.softcap is not None:
            scores = self.softcap * jnp.tanh(scores / self.softcap)
        if self.slopes is not None:
            groups, share = products.shape[-4:-2]
            slopes = jnp.asarray(self.slopes).reshape((1,) * (products.ndim - 4) + (groups, share, 1, 1))
            scores = scores - slopes * distances
        if self.window is not None:
            seen = seen & (distances < self.window)
        return jnp.where(seen, scores, MASKED)


def alibi_slopes(heads: int) -> np.ndarray:
    """f32[N]: a geometric series for a power of two, else filled up from the series of twice that power.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    >>> [round(float(slope), 4) for slope in alibi_slopes(3)]
    [0.0625, 0.0039, 0.25]
    """

    def series(count: int) -> list[float]:
        return [2.0 ** (-8.0 * (i + 1) / count) for i in range(count)]

    power = 2 ** math.floor(math.log2(heads))
    return np.array(series(power) + series(2 * power)[::2][: heads - power], np.float32)


def plain_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, rule: ScoreRule, places: jax.Array | None = None
) -> jax.Array:
    """`causal_attention`, written out: for the rules that the library lacks, and the oracle for those it has.

    Args:
      query: [B, R, N, H], of all positions or of those at `places`.
      key, value: [B, S, G, H].
      places: i32[B, R], the position of each query; None for 0 … R - 1.

    Returns:
      [B, R, N, H].
    """
    batch, rows, heads, width = query.shape
    length, groups = key.shape[1:3]
    grouped = query.reshape(batch, rows, groups, heads // groups, width)
    products = jnp.einsum("btgnh,bsgh->bgnts", grouped, key, preferred_element_type=jnp.float32)
    places = jnp.arange(rows)[None] if places is None else places
    distances = (places[..., None] - jnp.arange(length)[None, None])[:, None, None]
    weights = jax.nn.softmax(rule.apply(products, distances, distances >= 0), axis=-1).astype(query.dtype)
    return jnp.einsum("bgnts,bsgh->btgnh", weights, value).reshape(query.shape)


def behind(before: Pair, key: jax.Array, value: jax.Array) -> Pair:
    """Keys and values [B, T, G, H] of rows behind those that stand before them: [B, P + T, G, H]."""

    def joined(shared: jax.Array, own: jax.Array) -> jax.Array:
        outer, inner, *rest = shared.shape
        rows = len(own) // (outer * inner)
        repeated = jnp.broadcast_to(shared[:, None], (outer, rows, inner, *rest)).reshape(len(own), *rest)
        return jnp.concatenate([repeated, own], axis=1)

    return joined(before[0], key), joined(before[1], value)
