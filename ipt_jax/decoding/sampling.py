"""Draws the next token, each row from its own stream of random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax import seeds


def row_keys(seed: int, ids: Iterable[str | int], draws: int = 1) -> np.ndarray:
    """u32[N, R, 2]: a key for each of R draws of each row, from the seed and the row's id alone.

    Row "a" draws the same in any batch, in any order, after any resume; its first draw is the same whatever R is.
    """
    keys = [seeds.rng(seed, "sampling", id).integers(2**32, size=(draws, 2), dtype=np.uint32) for id in ids]
    return np.array(keys, np.uint32).reshape(len(keys), draws, 2)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which tokens may be drawn and with what probability, with Hugging Face's names and meanings.

    Attributes:
      temperature: what scores are divided by.
      top_k: how many of the most probable tokens stay (more where the last of them ties); 0: all.
      top_p: the most probable tokens stay until their probability reaches it, one at least; 1.0: all.

    Source: TemperatureLogitsWarper, TopKLogitsWarper and TopPLogitsWarper of transformers 5, in this order.
    """

    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0

    def warp(self, scores: jax.Array) -> jax.Array:
        """Scores f32[..., V] → those that are drawn from; -inf is never drawn."""
        scores = scores / self.temperature
        if self.top_k:
            least = jax.lax.top_k(scores, min(self.top_k, scores.shape[-1]))[0][..., -1:]
            scores = jnp.where(scores < least, -jnp.inf, scores)
        if self.top_p < 1.0:
            order = jnp.argsort(scores, axis=-1)
            rising = jnp.take_along_axis(scores, order, axis=-1)
            removed = jnp.cumsum(jax.nn.softmax(rising, axis=-1), axis=-1) <= 1 - self.top_p
            removed = removed.at[..., -1].set(False)
            removed = jnp.put_along_axis(jnp.zeros_like(removed), order, removed, axis=-1, inplace=False)
            scores = jnp.where(removed, -jnp.inf, scores)
        return scores

    def draw(self, scores: jax.Array, keys: jax.Array, steps: jax.Array) -> jax.Array:
        """One token of each row and draw, i32[B, R].

        Args:
          scores: f32[B, R, V].
          keys: u32[B, R, 2] from `row_keys`.
          steps: i32[B, R], tokens written before; folded into the key.
        """

        def one(key, step, row):
            key = jax.random.fold_in(jax.random.wrap_key_data(key, impl="threefry2x32"), step)
            return jax.random.categorical(key, row)

        return jax.vmap(jax.vmap(one))(keys, steps, self.warp(scores)).astype(jnp.int32)
