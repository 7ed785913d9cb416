"""The key-value prefix: keys and values of P positions in every layer, with or without an MLP that makes them.

Source: prefix-tuning (Li and Liang, arXiv 2101.00190); started from a text's own keys and values as in Cartridges
(arXiv 2506.06266).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ipt_jax import seeds
from ipt_jax.adapters.initialisation import NOISE, check_positions, initial_rows, noise
from ipt_jax.adapters.injection import Injection
from ipt_jax.adapters.soft_prompt import PromptMLP
from ipt_jax.errors import InputError
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.runtime import mesh


class Prefix(nnx.Module):
    """Keys and values as rows of numbers: those of a table, what an MLP makes of seed rows, or the sum of the two.

    The sum is what training starts from exactly, as the MLP gives zero at first (see `SoftPrompt`); without the table
    it is prefix-tuning as published.
    """

    def __init__(self, table: jax.Array | None, rows: jax.Array | None, mlp: PromptMLP | None):
        self.table = None if table is None else nnx.Param(table)
        self.rows = None if rows is None else nnx.Param(rows)
        self.mlp = mlp

    def __call__(self) -> jax.Array:
        """f32[P, L · 2 · G · H]."""
        made = None if self.mlp is None else self.mlp(self.rows[...])
        if self.table is None:
            return made
        return self.table[...] if made is None else self.table[...] + made


@dataclasses.dataclass(frozen=True)
class Prefixes:
    """K prefixes as functions of one parameter pytree, see `adapters.injection.Adapter`.

    Attributes:
      shape: (L, P, G, H) of keys, and of values.
      frozen_first: whether the first position stays as it started.
    """

    graphdef: Any
    shape: tuple[int, int, int, int]
    frozen_first: bool = False

    def fold(self, params: Any) -> dict[str, jax.Array]:
        """`keys` and `values` f32[K, L, P, G, H]."""
        layers, positions, *heads = self.shape
        with jax.default_matmul_precision("highest"):
            flat = jax.vmap(lambda member: nnx.merge(self.graphdef, member)())(params)
        if self.frozen_first:
            flat = jnp.concatenate([jax.lax.stop_gradient(flat[:, :1]), flat[:, 1:]], axis=1)
        apart = flat.reshape(len(flat), positions, layers, 2, *heads).transpose(3, 0, 2, 1, 4, 5)
        return {"keys": apart[0], "values": apart[1]}

    def inject(self, folded: dict[str, jax.Array]) -> Injection:
        return inject(folded)


def inject(folded: dict[str, jax.Array]) -> Injection:
    keys, values = folded["keys"], folded["values"]
    return Injection(jnp.zeros((len(keys), 0, 0), jnp.float32), (keys, values))


@dataclasses.dataclass(frozen=True)
class PrefixKind:
    """See `kinds.Kind`."""

    name: str = "prefix"
    title: str = "prefix tuning"
    at_positions: bool = True

    def present(self, settings: Any) -> bool:
        return settings["layout"]["prompt_tokens"] > 0

    def check(self, settings: Any, config: DecoderConfig) -> None:
        check_positions(settings, config)
        if settings.adapter.freeze_first and settings.prompt.reparameterisation != "none":
            raise InputError(
                "config.adapter.freeze_first=True needs prompt.reparameterisation='none': an MLP moves all positions"
            )
        if settings.adapter.freeze_first and settings.training and settings.training.weight_decay:
            raise InputError(
                f"config.training.weight_decay={settings.training.weight_decay} would move the first position that "
                "config.adapter.freeze_first=True keeps; set one of them to nothing"
            )

    def shapes(self, settings: Any, config: DecoderConfig) -> dict[str, tuple[int, ...]]:
        shape = _shape(settings, config)
        return {"keys": shape, "values": shape}

    def numbers(self, settings: Any, config: DecoderConfig) -> int:
        width = 2 * config.num_layers * config.num_kv_heads * config.head_dim
        positions, prompt = settings.layout.prompt_tokens, settings.prompt
        if prompt.reparameterisation == "none":
            return positions * width
        mlp = prompt.depth * prompt.hidden * (prompt.hidden + 1) + width * (prompt.hidden + 1)
        return mlp + positions * (prompt.hidden + (width if prompt.residual else 0))

    def start(self, lm: FrozenLM, settings: Any, examples: Any) -> dict[str, np.ndarray]:
        """Keys and values f32[L, P, G, H] of the rows that the initialisation means, or noise as wide as theirs."""
        rows = initial_rows(lm, _as_vocabulary(settings), examples)
        keys, values = (mesh.on_host(x)[:, 0].astype(np.float32) for x in _run(lm.decoder, lm.params, rows[None]))
        kind = settings.prompt.initialisation
        if kind in NOISE:
            draw = seeds.rng(settings.seed, "prefix")
            keys, values = (np.stack([noise(kind, draw, x.std(), x.shape) for x in each]) for each in (keys, values))
        return {"keys": keys, "values": values}

    def create(self, starts: Sequence[Any], settings: Any, member_seeds: Sequence[int]) -> tuple[Prefixes, Any]:
        prompt, shape = settings.prompt, starts[0]["keys"].shape
        members = []
        for start, seed in zip(starts, member_seeds, strict=True):
            both = np.stack([start["keys"], start["values"]])
            table = jnp.asarray(both.transpose(2, 1, 0, 3, 4).reshape(shape[1], -1), jnp.float32)
            rows = mlp = None
            if prompt.reparameterisation == "mlp":
                draw = seeds.rng(seed, "reparameterisation")
                key, width = jax.random.key(int(draw.integers(2**31))), settings.prompt.hidden
                rows = jnp.asarray(draw.standard_normal((shape[1], width)), jnp.float32)
                mlp = PromptMLP(width, width, prompt.depth, prompt.activation, prompt.residual, key, table.shape[1])
            kept = table if mlp is None or prompt.residual else None
            members.append(nnx.split(Prefix(kept, rows, mlp)))
        adapter = Prefixes(members[0][0], shape, settings.adapter.freeze_first)
        return adapter, jax.tree.map(lambda *leaves: jnp.stack(leaves), *(params for _, params in members))

    def inject(self, folded: Any) -> Injection:
        return inject(folded)

    def misfit(self, arrays: Mapping[str, np.ndarray], config: DecoderConfig) -> str:
        if set(arrays) != {"keys", "values"} or arrays["keys"].shape != arrays["values"].shape:
            return f"it holds {', '.join(arrays)}, where keys and values of one shape are wanted"
        shape, wanted = arrays["keys"].shape, (config.num_layers, config.num_kv_heads, config.head_dim)
        if len(shape) != 4 or (shape[0], *shape[2:]) != wanted:
            return f"its keys are {list(shape)}; the model's are {[wanted[0], 'positions', *wanted[1:]]}"
        return ""


def _shape(settings: Any, config: DecoderConfig) -> tuple[int, int, int, int]:
    return config.num_layers, settings.layout.prompt_tokens, config.num_kv_heads, config.head_dim


def _as_vocabulary(settings: Any) -> Any:
    """The settings, with noise replaced by words: its width is that of their keys and values."""
    if settings.prompt.initialisation not in NOISE:
        return settings
    changed = settings.to_dict()
    changed["prompt"]["initialisation"] = "sampled_vocabulary"
    return type(settings)(changed)


@functools.partial(jax.jit, static_argnums=0)
def _run(decoder: FrozenDecoder, params: Any, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    return decoder.beginning(params, rows.astype(jax.tree.leaves(params)[0].dtype), "none")
