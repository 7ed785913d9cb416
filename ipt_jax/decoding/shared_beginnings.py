"""What rows of a work list have in common, adapter and first tokens, run once for all of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.adapters.injection import Injection
from ipt_jax.adapters.soft_prompt import prepend
from ipt_jax.decoding.request import Request
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.rows.flat_rows import common_tokens
from ipt_jax.runtime.programs import program

Work = Sequence[tuple[int, Sequence[int]]]

# Positions that must be saved before it pays to run prefixes apart: that is one more program to compile.
_WORTH = 4096
# Prefixes that are run together.
_AT_ONCE = 32


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=("keys", "values"), meta_fields=("tokens", "prompt_rows")
)
@dataclasses.dataclass(frozen=True)
class Prefix:
    """The cache of the first P + C positions of rows, for each of D different beginnings; stands in for the prompts.

    Trained keys and values are one with C = 0.

    Attributes:
      keys: [L, D, G, H, P + C]; values: [L, D, G, P + C, H].
      tokens: C, how many of a row's own tokens it covers; every row has more.
      prompt_rows: P.
    """

    keys: jax.Array
    values: jax.Array
    tokens: int
    prompt_rows: int

    def of_rows(self, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys [L, B, G, H, P + C] and values [L, B, G, P + C, H] of rows with the beginnings i32[B]."""
        return self.keys[:, index], self.values[:, index]


def best_cut(work: Work, prompt_rows: int, most: float = math.inf, known: int = 0) -> tuple[int, int]:
    """How many first tokens C to run apart so that most positions are saved, and how many beginnings D that makes.

    At least one token of every row is left over: its hidden state chooses the first new token. Worked example, one
    prompt of 0 rows: (7, 8, 9, 1), (7, 8, 9, 2) and (5, 6, 4, 1) share nothing, but with C = 3 there are D = 2
    beginnings for 3 rows, which saves one of 3 runs of 3 positions.

    Args:
      work: (index of the prompt, token ids) of each row, at least one.
      prompt_rows: P.
      most: positions that all beginnings together may have.
      known: Q positions before them whose keys and values are trained: nothing runs them, but every beginning has them.

    >>> best_cut([(0, (7, 8, 9, 1)), (0, (7, 8, 9, 2)), (0, (5, 6, 4, 1))], 0)
    (3, 2)
    """
    ordered = sorted((prompt, tuple(tokens)) for prompt, tokens in work)
    # Of neighbours in this order, the tokens in common; -1 where not even the prompt is.
    common = sorted(common_tokens(a, b) if p == q else -1 for (p, a), (q, b) in itertools.pairwise(ordered))
    best, saved = (0, len(work)), 0
    for covered in range(min(len(tokens) for _, tokens in ordered)):
        beginnings = 1 + int(np.searchsorted(common, covered))
        positions = prompt_rows + covered
        if beginnings * (known + positions) <= most and (len(work) - beginnings) * positions > saved:
            best, saved = (covered, beginnings), (len(work) - beginnings) * positions
    return best


def worthwhile_cut(work: Work, prompt_rows: int, most: float = math.inf, known: int = 0) -> tuple[int, int] | None:
    """`best_cut`, or None where that saves fewer than 4,096 positions."""
    covered, beginnings = best_cut(work, prompt_rows, most, known)
    saved = (len(work) - beginnings) * (prompt_rows + covered)
    return (covered, beginnings) if saved >= _WORTH else None


def share_prefix(
    decoder: FrozenDecoder,
    params: Any,
    adapters: Injection | jax.Array,
    requests: Sequence[Request],
    budget: float = math.inf,
) -> tuple[jax.Array | Prefix, list[int]]:
    """Runs what rows begin with once for each different beginning, where that saves at least 4,096 positions.

    Soft prompts are shared by all rows under them; demonstrations by the rows that show the same ones.

    Args:
      adapters: what K adapters inject; an array f32[K, P, E] is prompt rows alone.
      budget: bytes that the beginnings' cache may take.

    Returns:
      The prompt rows themselves or the prefixes, and the index of each row into them.
    """
    adapters = Injection.of(adapters)
    config, prompt_rows = decoder.config, adapters.rows.shape[1]
    known = adapters.positions - prompt_rows
    work = [(each.adapter, each.tokens) for each in requests]
    itemsize = jax.tree.leaves(params)[0].dtype.itemsize
    bytes_each = 2 * config.num_layers * config.num_kv_heads * config.head_dim * itemsize
    cut = worthwhile_cut(work, prompt_rows, budget / bytes_each, known)
    if cut is None and not known:
        return adapters.rows, [prompt for prompt, _ in work]
    if cut is None and not prompt_rows:
        cache = _as_cache(adapters, jax.tree.leaves(params)[0].dtype)
        return Prefix(*cache, 0, known), [prompt for prompt, _ in work]
    covered, count = cut or (0, len(set(prompt for prompt, _ in work)))
    places: dict[tuple[int, tuple[int, ...]], int] = {}
    index = [places.setdefault((prompt, tuple(tokens[:covered])), len(places)) for prompt, tokens in work]
    beginnings = list(places)
    size = min(count, _AT_ONCE)
    parts = []
    for start in range(0, count, size):
        chosen = [beginnings[min(i, count - 1)] for i in range(start, start + size)]  # one shape: the last fills up
        of_prompt = np.array([prompt for prompt, _ in chosen], np.int32)
        tokens = np.array([tokens for _, tokens in chosen], np.int32).reshape(size, covered)
        arguments = decoder, params, adapters, of_prompt, tokens
        parts.append(program(_run, *arguments)(*arguments[1:]))
    keys, values = parts[0] if len(parts) == 1 else jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *parts)
    return Prefix(keys, values, covered, adapters.positions), index


@functools.partial(jax.jit, static_argnames="decoder")
def _run(
    decoder: FrozenDecoder, params: Any, adapters: Injection, members: jax.Array, tokens: jax.Array
) -> tuple[jax.Array, jax.Array]:
    embeddings = prepend(adapters.rows[members], decoder.embed(params, tokens))
    before = None
    if adapters.before is not None:
        before = jax.tree.map(lambda x: x[:, members], _as_cache(adapters, embeddings.dtype))
    return decoder.prefill(
        adapters.changed_for(params, members), embeddings, jnp.zeros(len(tokens), jnp.int32), before
    )[1]


def _as_cache(adapters: Injection, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Trained keys and values as `FrozenDecoder.prefill` makes them: [L, K, G, H, Q] and [L, K, G, Q, H]."""
    keys, values = adapters.before
    return keys.transpose(1, 0, 3, 4, 2).astype(dtype), values.transpose(1, 0, 3, 2, 4).astype(dtype)
