"""The soft prompt: its rows, the MLP that may reparameterise them and its folding, and its place before the tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ipt_jax import seeds
from ipt_jax.adapters.injection import Injection
from ipt_jax.errors import InputError

REPARAMETERISATIONS = ("none", "mlp")
ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "silu": jax.nn.silu}


class PromptMLP(nnx.Module):
    """E → H, `depth` layers of width H with an activation behind each, → E, or `out`.

    Args:
      zero_at_first: whether the last product is zero before training, so that the MLP adds nothing yet.
    """

    def __init__(
        self, embed: int, hidden: int, depth: int, activation: str, zero_at_first: bool, key: jax.Array, out: int = 0
    ):
        out = out or embed
        draw = jax.nn.initializers.lecun_normal()
        last = nnx.initializers.zeros if zero_at_first else draw
        self.activation = activation
        self.down = nnx.Param(draw(key, (embed, hidden), jnp.float32))
        self.down_bias = nnx.Param(jnp.zeros((hidden,), jnp.float32))
        keys = jax.random.split(jax.random.fold_in(key, 1), depth - 1)
        inner = [draw(each, (hidden, hidden), jnp.float32) for each in keys]
        self.inner = nnx.Param(jnp.stack(inner)) if inner else None
        self.inner_bias = nnx.Param(jnp.zeros((len(inner), hidden), jnp.float32)) if inner else None
        self.up = nnx.Param(last(jax.random.fold_in(key, 2), (hidden, out), jnp.float32))
        self.up_bias = nnx.Param(jnp.zeros((out,), jnp.float32))

    def __call__(self, rows: jax.Array) -> jax.Array:
        """f32[P, E] → f32[P, out]."""
        activate = ACTIVATIONS[self.activation]
        x = activate(rows @ self.down[...] + self.down_bias[...][None, :])
        if self.inner is not None:
            for kernel, bias in zip(self.inner[...], self.inner_bias[...], strict=True):
                x = activate(x @ kernel + bias[None, :])
        return x @ self.up[...] + self.up_bias[...][None, :]


class SoftPrompt(nnx.Module):
    """P trainable rows in the language model's embedding space, with or without an MLP on top.

    With an MLP the rows that the model sees are `table + mlp(table)`: prefix-tuning's reparameterisation
    (arXiv 2101.00190) with a residual path. The MLP gives zero at first, so training starts exactly from
    the initial rows. Without the residual path they are `mlp(table)`, as prefix-tuning has it, and training
    starts from what an untrained MLP makes of the initial rows.
    """

    def __init__(self, table: jax.Array, mlp: PromptMLP | None, residual: bool):
        self.table = nnx.Param(table)
        self.mlp = mlp
        self.residual = residual

    def __call__(self) -> jax.Array:
        """f32[P, E]."""
        table = self.table[...]
        if self.mlp is None:
            return table
        return table + self.mlp(table) if self.residual else self.mlp(table)


@dataclasses.dataclass(frozen=True)
class SoftPrompts:
    """K soft prompts as pure functions of one parameter pytree with a leading member axis."""

    graphdef: Any

    @classmethod
    def create(
        cls,
        rows: np.ndarray,
        *,
        reparameterisation: str,
        hidden: int,
        member_seeds: list[int],
        depth: int = 1,
        activation: str = "tanh",
        residual: bool = True,
    ) -> tuple[SoftPrompts, Any]:
        """Builds K prompts.

        Args:
          rows: f32[K, P, E], each member's initial rows.
          reparameterisation: `none` or `mlp`; the other arguments are the MLP's.
          hidden: its width.
          member_seeds: K seeds; a member's MLP depends on its own seed alone.
          depth: its hidden layers, at least 1.
          activation: a key of `ACTIVATIONS`.
          residual: whether the initial rows are added to what it gives.

        Returns:
          The functions, and parameters whose every leaf has leading axis K.

        Raises:
          InputError: an unknown reparameterisation or activation.
        """
        if reparameterisation not in REPARAMETERISATIONS:
            raise InputError(f"prompt.reparameterisation={reparameterisation!r}; choose one of {REPARAMETERISATIONS}")
        if activation not in ACTIVATIONS:
            raise InputError(f"prompt.activation={activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}")
        members = []
        for initial, seed in zip(rows, member_seeds, strict=True):
            mlp = None
            if reparameterisation == "mlp":
                key = jax.random.key(int(seeds.rng(seed, "reparameterisation").integers(2**31)))
                mlp = PromptMLP(rows.shape[-1], hidden, depth, activation, residual, key)
            members.append(nnx.split(SoftPrompt(jnp.asarray(initial, jnp.float32), mlp, residual)))
        graphdef = members[0][0]
        return cls(graphdef), jax.tree.map(lambda *leaves: jnp.stack(leaves), *(params for _, params in members))

    def fold(self, params: Any) -> jax.Array:
        """The rows that the language model sees: f32[K, P, E]."""
        with jax.default_matmul_precision("highest"):
            return jax.vmap(lambda member: nnx.merge(self.graphdef, member)())(params)

    def inject(self, folded: jax.Array) -> Injection:
        return Injection(folded)


def prepend(prompt: jax.Array, embeddings: jax.Array) -> jax.Array:
    """[B, P, E] before [B, T, E] → [B, P + T, E], in the language model's type. P may be 0."""
    if not prompt.shape[1]:
        return embeddings
    return jnp.concatenate([prompt.astype(embeddings.dtype), embeddings], axis=1)
