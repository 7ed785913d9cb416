"""Causal attention on TPUs: the splash kernel that ships with jax, made to fit our families' rules and shapes.

The kernel (Pallas, block-sparse FlashAttention, arXiv 2205.14135) knows key-value heads that query heads share,
soft-capping and windows, skips blocks that no query sees, and keeps nothing of size T × S. What it lacks is done
around it: a scale and ALiBi become part of queries and keys, lengths and widths are padded to its blocks.

Not yet run on a TPU: it is tested in Pallas's TPU interpreter and lowered for TPUs, both on a CPU. That its blocks
fit a TPU's memory, and its speed, are unknown.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask_info as mask_info
from jax.sharding import PartitionSpec

from ipt_jax.models.attention.blocked import KEPT
from ipt_jax.models.attention.rule import ScoreRule

# The kernel's blocks are multiples of a TPU's 128 lanes. 512 is what others choose for it, not our measurement.
_LANES, _LONGEST = 128, 512


def block_length(length: int) -> int:
    """Positions of a block for T positions: the shortest with which the fewest blocks are enough.

    >>> [block_length(length) for length in (10, 300, 512, 640, 1124)]
    [128, 384, 512, 384, 384]
    """
    blocks = -(-length // _LONGEST)
    return _LANES * -(-length // (blocks * _LANES))


def tpu_attention(query: jax.Array, key: jax.Array, value: jax.Array, rule: ScoreRule) -> jax.Array:
    """`causal_attention` by the TPU's kernel, with a gradient of its own.

    Over a mesh each device attends for its own rows and heads, as far as these divide.

    Args:
      query: [B, T, N, H]; key, value: [B, T, G, H], where G divides N.
      rule: with a `softcap` or `slopes`, but not both: the kernel caps what is left of ALiBi, too.

    Returns:
      [B, T, N, H], in the type of `query`; scores and softmax are float32. A scale that is no power of two rounds
      bfloat16 queries, and their gradient, once more than `plain_attention` does.
    """
    length, width = query.shape[1], query.shape[-1]
    query = (query.astype(jnp.float32) * rule.scale).astype(query.dtype)
    if rule.slopes is not None:
        query, key = _with_distances(query, key, rule.slopes)
    # A scanned layer's window is a tracer: a function with its own gradient must get it as an argument.
    numbers = {"window": rule.window} if isinstance(rule.window, jax.Array) else {}
    # The decoder asks for the highest precision, with which the kernel does not compile for bfloat16 (jax issue
    # 21408); a gradient is traced when that request has ended. So both passes say what they need.
    precision = functools.partial(jax.default_matmul_precision, "highest" if query.dtype == jnp.float32 else "default")

    def forward(query, key, value, numbers):
        kernel = _on_each_device(functools.partial(_attend, rule=rule), query, key)
        with precision():
            return jax.vjp(lambda *heads: kernel(*heads, numbers), query, key, value)

    def backward(pull_back, gradient):
        with precision():
            return *pull_back(gradient), None  # numbers are no parameters

    attend = jax.custom_vjp(lambda *args: forward(*args)[0])
    attend.defvjp(forward, backward)
    mixed = attend(*(_in_blocks(x) for x in (query, key, value)), numbers)
    return mixed[:, :, :length, :width].transpose(0, 2, 1, 3)


def _with_distances(query: jax.Array, key: jax.Array, slopes: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Six more numbers in each query and key, whose products sum to slope × the key's position.

    That is ALiBi: it differs from minus slope × distance by slope × the query's position, the same for all that a
    query sees, which the softmax ignores. Three numbers for a slope and two for a position, 256 · a + b, have every
    bit that float32 has even where queries and keys are bfloat16, and no array of size T × S is needed.
    """
    rest, parts = slopes.astype(np.float32), []
    for _ in range(3):
        parts.append(rest.astype(jnp.bfloat16).astype(np.float32))
        rest = rest - parts[-1]
    of_query = np.stack([*parts, *parts], axis=-1)[None, None]  # [1, 1, N, 6]
    positions = np.arange(key.shape[1])
    of_key = np.stack([positions // 256 * 256] * 3 + [positions % 256] * 3, axis=-1)[None, :, None]  # [1, S, 1, 6]

    def widened(heads, numbers):
        columns = jnp.broadcast_to(jnp.asarray(numbers, heads.dtype), (*heads.shape[:-1], numbers.shape[-1]))
        return jnp.concatenate([heads, columns], axis=-1)

    return widened(query, of_query), widened(key, of_key)


def _in_blocks(heads: jax.Array) -> jax.Array:
    """[B, T, N, H] → [B, N, T', H'], zeros behind: queries never see a later key, and zeros add nothing to a score."""
    length, width = heads.shape[1], heads.shape[-1]
    padding = (0, 0), (0, -length % block_length(length)), (0, 0), (0, -width % _LANES)
    return jnp.pad(heads, padding).transpose(0, 2, 1, 3)


def _on_each_device(attend, query: jax.Array, key: jax.Array):
    """`attend` on what each device of the arrays' mesh has: XLA cannot cut a kernel by itself."""
    mesh = jax.typeof(query).sharding.mesh
    if mesh.empty or mesh.size == 1:
        return attend
    batch, groups = key.shape[:2]
    whole = PartitionSpec()
    heads = PartitionSpec(
        "data" if batch % mesh.shape["data"] == 0 else None,
        "model" if groups % mesh.shape["model"] == 0 else None,
    )
    # The kernel says nothing about how its result varies over the mesh, so there is nothing to check.
    return jax.shard_map(attend, mesh=mesh, in_specs=(heads, heads, heads, whole), out_specs=heads, check_vma=False)


def _attend(query: jax.Array, key: jax.Array, value: jax.Array, numbers: dict, *, rule: ScoreRule) -> jax.Array:
    """The kernel on one device: [B, N, T, H], [B, G, T, H], both in whole blocks → [B, N, T, H]."""
    length, rule = query.shape[2], dataclasses.replace(rule, **numbers)
    kernel = _kernel(length, block_length(length), rule)
    # Rows one after another are as many more heads, each with as many key-value heads as before.
    mixed = kernel(*(x.reshape(-1, *x.shape[2:]) for x in (query, key, value)))
    return mixed.reshape(*query.shape[:-1], -1)


def _kernel(length: int, block: int, rule: ScoreRule) -> splash.SplashAttentionKernel:
    """The kernel of jax for one mask that all heads share."""
    sizes = splash.BlockSizes(
        block_q=block, block_kv=block, block_q_dkv=block, block_kv_dkv=block, block_q_dq=block, block_kv_dq=block
    )
    settings = {"block_sizes": sizes, "attn_logits_soft_cap": rule.softcap, "residual_checkpoint_name": KEPT}
    if not isinstance(rule.window, jax.Array):
        shape, window = (length, length), rule.window
        mask = masks.CausalMask(shape) if window is None else masks.LocalMask(shape, (window - 1, 0), 0)
        return splash.make_splash_mha(masks.MultiHeadMask([mask]), head_shards=1, q_seq_shards=1, **settings)
    # What `make_splash_mha` does for such a mask, which it cannot do under `jax.jit`.
    distances = jnp.arange(length)[:, None] - jnp.arange(length)[None, :]
    mask = ((distances >= 0) & (distances < rule.window))[None]
    rows, _ = mask_info.process_dynamic_mask(mask, (block, block))
    columns, _ = mask_info.process_dynamic_mask_dkv(mask, (block, block))
    return splash.SplashAttentionKernel(
        rows,
        rows,
        columns,
        is_mqa=False,
        save_residuals=False,
        mask_value=splash.DEFAULT_MASK_VALUE,
        mask_function=None,
        interpret=False,
        **settings,
    )
