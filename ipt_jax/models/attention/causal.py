"""Causal attention over a whole sequence, and the rules that families add to it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.extend import backend

from ipt_jax.errors import InputError
from ipt_jax.models.attention.rule import Pair, ScoreRule, behind, plain_attention

# `xla` is everywhere, `cudnn` on NVIDIA GPUs, `tpu` is the kernel of `models.tpu_attention`.
IMPLEMENTATIONS = ("xla", "cudnn", "tpu")


def check_implementation(name: str, dtype: str) -> None:
    """Raises an InputError unless this machine's devices attend in this way with parameters of this type."""
    if name not in IMPLEMENTATIONS or (name == "cudnn" and dtype == "float32"):
        raise InputError(
            f"model.attention={name!r} with dtype {dtype} is not supported; choose 'xla', 'cudnn' with bfloat16 "
            "(NVIDIA GPUs), or 'tpu'"
        )
    platform, kind = jax.default_backend(), jax.devices()[0].device_kind
    if name == "cudnn" and not (platform == "gpu" and "cuda" in backend.get_backend().platform_version):
        raise InputError(
            f"model.attention='cudnn' needs an NVIDIA GPU, but jax found {platform} ({kind}); choose 'xla', or install "
            "jax with CUDA on a machine with one"
        )
    if name == "tpu" and platform != "tpu":
        raise InputError(
            f"model.attention='tpu' needs a TPU, but jax found {platform} ({kind}); choose 'xla', or install jax[tpu] "
            "on a machine with one"
        )


def check_head_width(name: str, width: int) -> None:
    """Raises an InputError for heads that the implementation refuses on this machine's devices."""
    if name != "cudnn":
        return
    device = jax.devices()[0]
    widest = 256 if float(device.compute_capability) >= 9 else 128  # as jax itself checks, but only when it traces
    if width % 8 or width > widest:
        raise InputError(
            f"model.attention='cudnn' takes heads whose width is a multiple of 8 up to {widest} on this "
            f"{device.device_kind}, and this model's are {width} wide; choose model.attention='xla'"
        )


def causal_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    rule: ScoreRule,
    before: Pair | None = None,
    *,
    implementation: str = "xla",
) -> jax.Array:
    """Each position sees itself and what stands before it, as far as the rule's window goes.

    Rows are padded on the right only, so no real position ever sees a pad and no mask is needed.

    Args:
      query: [B, T, N, H]; key, value: [B, T, G, H], where G divides N.
      before: keys and values [I, J, P, G, H] of P positions that stand before the rows. The batch is I groups, one
        after another, of rows of which every J-th has the same before it: with (K, 1) the rows of each of K members
        stand side by side, with (1, K) every K-th row is of the same member.
      implementation: `xla`, `cudnn` (NVIDIA GPUs, half precision) or `tpu`. A rule that it lacks goes to
        `plain_attention`: soft-capping, and for `tpu` soft-capping together with slopes.

    Returns:
      [B, T, N, H], in the type of `query`; the softmax is taken in float32.
    """
    if before is not None:  # queries that nobody asks for make a square of it: attention is the smaller part of a layer
        known = before[0].shape[2]
        key, value = behind(before, key, value)
        query = jnp.pad(query, ((0, 0), (known, 0), (0, 0), (0, 0)))
        return causal_attention(query, key, value, rule, implementation=implementation)[:, known:]
    if implementation == "tpu" and (rule.softcap is None or rule.slopes is None):
        from ipt_jax.models.attention.tpu import tpu_attention  # Pallas, for those who have a TPU; it imports this file

        return tpu_attention(query, key, value, rule)
    if rule.softcap is not None:  # the library's attention has none
        return plain_attention(query, key, value, rule)
    length = query.shape[1]
    if implementation == "cudnn" and length % 2 and (rule.slopes is not None or isinstance(rule.window, jax.Array)):
        # With a bias or a mask cudnn differentiates even lengths only. Nobody sees what is added behind.
        even = (jnp.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0))) for x in (query, key, value))
        return causal_attention(*even, rule, implementation=implementation)[:, :length]
    scale, bias, mask, window = rule.scale, None, None, None
    distances = _distances(length)
    if not isinstance(scale, float):
        query, scale = (query.astype(jnp.float32) * scale).astype(query.dtype), 1.0
    if rule.slopes is not None:
        bias = -jnp.asarray(rule.slopes)[:, None, None] * jnp.maximum(distances, 0).astype(jnp.float32)[None]
        bias = bias[None].astype(query.dtype if implementation == "cudnn" else jnp.float32)
    if isinstance(rule.window, int):
        window = (rule.window - 1, 0)
    elif rule.window is not None:
        mask = (distances < rule.window)[None, None]
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias=bias,
        mask=mask,
        scale=scale,
        is_causal=True,
        local_window_size=window,
        implementation=implementation,
    )


def _distances(length: int) -> jax.Array:
    """i32[T, S]: a query's position minus a key's; negative above the diagonal."""
    positions = jnp.arange(length)
    return positions[:, None] - positions[None, :]
