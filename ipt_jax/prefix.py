"""What the rows of a work list have in common, soft prompt and first tokens, run once for each prompt."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.soft_prompt import prepend


@functools.partial(jax.tree_util.register_dataclass, data_fields=("keys", "values"), meta_fields=("tokens", "prompt_rows"))
@dataclasses.dataclass(frozen=True)
class Prefix:
    """The cache of the first P + C positions of every row, for each of K prompts; stands in for the prompts.

    Attributes:
      keys: [L, K, G, H, P + C]; values: [L, K, G, P + C, H].
      tokens: C, how many of a row's own tokens it covers; every row has more.
      prompt_rows: P.
    """

    keys: jax.Array
    values: jax.Array
    tokens: int
    prompt_rows: int

    def of_rows(self, prompt_index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys [L, B, G, H, P + C] and values [L, B, G, P + C, H] of rows under the prompts i32[B]."""
        return self.keys[:, prompt_index], self.values[:, prompt_index]


def common_tokens(work: Sequence[tuple[int, Sequence[int]]], prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """How many first tokens all rows under one prompt share, for the prompt whose rows share the fewest.

    At least one token of every row is left over: its hidden state chooses the first new token. A prompt without
    rows does not count. Worked example, one prompt: rows (1, 7, 8, 9) and (1, 7, 5) share C = 2 tokens, (1, 7).

    Args:
      work: (index of the prompt, token ids) of each row, at least one.
      prompts: K.

    Returns:
      i32[K, C]: the shared tokens; zero for a prompt without rows.
    """
    ends: dict[int, tuple[Sequence[int], Sequence[int]]] = {}
    shortest = min(len(tokens) for _, tokens in work)
    for prompt, tokens in work:  # what the least and the greatest row share, all share
        low, high = ends.get(prompt, (tokens, tokens))
        ends[prompt] = (min(low, tokens), max(high, tokens))
    shared = max(shortest - 1, 0)
    for low, high in ends.values():
        differing = (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
        shared = min(shared, next(differing, shared))
    tokens = np.zeros((prompts, shared), np.int32)
    for prompt, (low, _) in ends.items():
        tokens[prompt] = low[:shared]
    return tokens


# Positions that must be saved before it pays to run a prefix apart: that is one more program to compile.
_WORTH = 4096


def share_prefix(
    decoder: FrozenDecoder, params: Any, prompts: jax.Array, work: Sequence[tuple[int, Sequence[int]]]
) -> jax.Array | Prefix:
    """The prompts f32[K, P, E] themselves, or their prefix where running it once saves at least 4,096 positions.

    A prefix of P + C positions is run once for each prompt instead of once for each row.
    """
    tokens = common_tokens(work, len(prompts))
    positions = prompts.shape[1] + tokens.shape[1]
    if positions * (len(work) - len(prompts)) < _WORTH or min(len(row) for _, row in work) <= tokens.shape[1]:
        return prompts
    keys, values = _run(decoder, params, prompts, tokens)
    return Prefix(keys, values, tokens.shape[1], prompts.shape[1])


@functools.partial(jax.jit, static_argnames="decoder")
def _run(decoder: FrozenDecoder, params: Any, prompts: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    embeddings = prepend(prompts, decoder.embed(params, tokens))
    return decoder.prefill(params, embeddings, jnp.zeros(len(prompts), jnp.int32))[1]
