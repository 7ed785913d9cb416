"""The parts that the decoder stacks: linear maps, norms, and the block of attention and feed-forward network."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ipt_jax.models import rope
from ipt_jax.models.config import ACTIVATIONS, DecoderConfig


class Linear(nnx.Module):
    """x[..., in] @ kernel[in, out] (+ bias[out]); `stack` puts a leading layer axis before both.

    Attributes:
      turned: whether the kernel lies as [out, in], see `turn`.
      change: (x, the map) → what an adapter makes of it, see `changes`; None for the map alone.
    """

    change = None

    def __init__(self, stack: tuple[int, ...], in_dim: int, out_dim: int, bias: bool, dtype: Any):
        self.kernel = nnx.Param(jnp.zeros((*stack, in_dim, out_dim), dtype))
        self.bias = nnx.Param(jnp.zeros((*stack, out_dim), dtype)) if bias else None
        self.turned = False

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.project(x) if self.change is None else self.change(x, self.project)

    def project(self, x: jax.Array) -> jax.Array:
        y = times_rows(x, self.kernel[...]) if self.turned else x @ self.kernel[...]
        return y if self.bias is None else y + jnp.broadcast_to(self.bias[...], y.shape)


def times_rows(x: jax.Array, rows: jax.Array, dtype: Any = None) -> jax.Array:
    """x[..., in] with each of rows[out, in] → [..., out], for few x and many rows on a CPU.

    There a product first copies its right operand into the order of its inner loop, all of the weights for however few
    rows; the left operand is read where it lies. SmolLM2's 340 MB output table with 16 rows on two cores (AVX2): 71 ms
    as x @ tableᵀ, 25 ms so. The barrier keeps XLA from turning the product round again.

    Args:
      dtype: of the result; that of x unless given.
    """
    flat = x.reshape(-1, x.shape[-1])
    turned = jax.lax.dot_general(rows, flat, (((1,), (1,)), ((), ())), preferred_element_type=dtype)
    return jax.lax.optimization_barrier(turned).T.reshape(*x.shape[:-1], -1)


def turn(block: nnx.Module) -> nnx.Module:
    """The same block with every kernel as [out, in], for steps of few rows: see `times_rows`."""
    for _, part in nnx.iter_graph(block):
        if isinstance(part, Linear):
            part.kernel = nnx.Param(part.kernel[...].swapaxes(-1, -2))
            part.turned = True
    return block


class Norm(nnx.Module):
    """LayerNorm or RMSNorm over the last axis, computed in float32."""

    def __init__(self, stack: tuple[int, ...], dim: int, config: DecoderConfig, dtype: Any):
        self.kind, self.epsilon = config.norm, config.norm_epsilon
        self.offset = 1.0 if config.norm_unit_offset else 0.0
        self.scale = nnx.Param(jnp.zeros((*stack, dim), dtype))
        self.bias = nnx.Param(jnp.zeros((*stack, dim), dtype)) if config.norm == "layer_norm" else None

    def __call__(self, x: jax.Array) -> jax.Array:
        wide = x.astype(jnp.float32)
        if self.kind == "layer_norm":
            wide = wide - wide.mean(axis=-1, keepdims=True)
        wide = wide * jax.lax.rsqrt(jnp.square(wide).mean(axis=-1, keepdims=True) + self.epsilon)
        wide = wide * jnp.broadcast_to(self.scale[...].astype(jnp.float32) + self.offset, wide.shape)
        if self.bias is not None:
            wide = wide + jnp.broadcast_to(self.bias[...].astype(jnp.float32), wide.shape)
        return wide.astype(x.dtype)


class Block(nnx.Module):
    """One layer: attention and a feed-forward network, wired by `config.residual` as in `__call__`.

    How keys and values are kept is not its business: it hands query, key and value to `attend` and
    passes on whatever `attend` wants kept.
    """

    def __init__(self, stack: tuple[int, ...], config: DecoderConfig, dtype: Any):
        c = config
        query_dim, kv_dim = c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim
        self.config = config
        self.attention_norm = Norm(stack, c.hidden_dim, c, dtype)
        self.query = Linear(stack, c.hidden_dim, query_dim, c.qkv_bias, dtype)
        self.key = Linear(stack, c.hidden_dim, kv_dim, c.qkv_bias, dtype)
        self.value = Linear(stack, c.hidden_dim, kv_dim, c.qkv_bias, dtype)
        self.query_norm = Norm(stack, c.head_dim, c, dtype) if c.query_key_norm else None
        self.key_norm = Norm(stack, c.head_dim, c, dtype) if c.query_key_norm else None
        self.out = Linear(stack, query_dim, c.hidden_dim, c.out_bias, dtype)
        self.mlp_norm = Norm(stack, c.hidden_dim, c, dtype)
        self.gate = Linear(stack, c.hidden_dim, c.mlp_dim, c.mlp_bias, dtype) if c.gated_mlp else None
        self.up = Linear(stack, c.hidden_dim, c.mlp_dim, c.mlp_bias, dtype)
        self.down = Linear(stack, c.mlp_dim, c.hidden_dim, c.mlp_bias, dtype)
        sandwich = c.residual == "sandwich"
        self.attention_out_norm = Norm(stack, c.hidden_dim, c, dtype) if sandwich else None
        self.mlp_out_norm = Norm(stack, c.hidden_dim, c, dtype) if sandwich else None

    def __call__(self, x: jax.Array, angles, attend) -> tuple[jax.Array, Any]:
        """x: [..., D] → ([..., D], what `attend` keeps). `angles` is None without rotary positions."""
        wiring = self.config.residual
        if wiring == "post_norm":  # OPT-350m
            mixed, kept = self.attention(x, angles, attend)
            x = self.attention_norm(x + mixed)
            return self.mlp_norm(x + self.mlp(x)), kept
        mixed, kept = self.attention(self.before_attention(x), angles, attend)
        if wiring == "parallel":  # GPT-NeoX
            return x + mixed + self.mlp(self.mlp_norm(x)), kept
        if wiring == "sandwich":  # Gemma
            x = x + self.attention_out_norm(mixed)
            return x + self.mlp_out_norm(self.mlp(self.mlp_norm(x))), kept
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), kept

    def before_attention(self, x: jax.Array) -> jax.Array:
        """What attention sees of the block's input."""
        return x if self.config.residual == "post_norm" else self.attention_norm(x)

    def attention(self, x: jax.Array, angles, attend) -> tuple[jax.Array, Any]:
        query, (key, value) = self.heads(self.query, x), self.keys_values(x, angles)
        query = query if self.query_norm is None else self.query_norm(query)
        query = query if angles is None else rope.rotate(query, angles)
        mixed, kept = attend(query, key, value)
        return self.out(mixed.reshape(*x.shape[:-1], -1)), kept

    def keys_values(self, x: jax.Array, angles) -> tuple[jax.Array, jax.Array]:
        """x: [..., D], what attention sees → key and value [..., G, H]."""
        key, value = self.heads(self.key, x), self.heads(self.value, x)
        key = key if self.key_norm is None else self.key_norm(key)
        return key if angles is None else rope.rotate(key, angles), value

    def heads(self, project: Linear, x: jax.Array) -> jax.Array:
        return project(x).reshape(*x.shape[:-1], -1, self.config.head_dim)

    def mlp(self, x: jax.Array) -> jax.Array:
        activation = ACTIVATIONS[self.config.activation]
        if self.gate is None:
            return self.down(activation(self.up(x)))
        return self.down(activation(self.gate(x)) * self.up(x))
