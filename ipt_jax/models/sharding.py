"""How the decoder's parameters lie over a mesh: heads, feed-forward width and vocabulary over its `model` axis."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
from flax import nnx
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from ipt_jax.models.config import DecoderConfig


def sharding(config: DecoderConfig, mesh: Mesh | AbstractMesh, place: str, shape: tuple[int, ...]) -> NamedSharding:
    """How the parameter at `place` is laid out; whatever has no rule, or does not divide evenly, is on every device.

    The layout is Megatron's (arXiv 1909.08053): query, key, value, gate and up are cut by output, out and down by
    input, so that a block needs one sum over devices after attention and one after the feed-forward network. Whole
    heads go together: eight devices hold a key-value head of eight each, or all hold all of four, unless these are
    repeated (`spread_heads`). A vocabulary is cut by words. One that does not divide (50,257) stays whole: cut by width
    it would spread the width of all activations, which every layer had to gather, and sum up the logits of all words.

    Families need no rules of their own, because their tables fill the same places.

    Args:
      place: such as `blocks.query.kernel`, whose first axis is the layers.
      shape: with that axis.
    """
    parts = mesh.shape["model"]
    width = {"query": config.num_heads, "out": config.num_heads, "gate": config.mlp_dim, "up": config.mlp_dim}
    width |= {"key": config.num_kv_heads, "value": config.num_kv_heads, "down": config.mlp_dim}
    axes: list[str | None] = [None] * len(shape)
    name, leaf = place.split(".")[-2:] if "." in place else (place, "")
    if name in width and width[name] % parts == 0:
        if name not in ("out", "down"):
            axes[-1] = "model"
        elif leaf == "kernel":
            axes[-2] = "model"
    elif name in ("embedding", "head") and shape[0] % parts == 0:
        axes[0] = "model"
    return NamedSharding(mesh, PartitionSpec(*axes))


def laid_out(config: DecoderConfig, shapes: Any, mesh: Mesh | AbstractMesh) -> Any:
    """The shapes of a decoder's parameters, each with its layout: programs are compiled for them without a weight."""
    flat = []
    for path, leaf in nnx.to_flat_state(shapes):
        layout = sharding(config, mesh, ".".join(map(str, path)), leaf.shape)
        flat.append((path, leaf.replace(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout))))
    return nnx.from_flat_state(flat)


def spread_heads(config: DecoderConfig, parts: int) -> DecoderConfig:
    """The same decoder with its key-value heads repeated until `parts` devices have as many each.

    Each device then has the keys and values of its own query heads. Were there fewer, and all of them on every device,
    the compiler would exchange keys, values and parts of the cache within each group of devices that share a head.
    Where query heads cannot be shared out in this way nothing changes.

    Worked example: 8 key-value heads of 64 over 16 devices become 16, each of them twice; over 8 they stay 8.
    """
    repeated = math.lcm(config.num_kv_heads, parts)
    return config if config.num_heads % repeated else dataclasses.replace(config, num_kv_heads=repeated)


def part_of(config: DecoderConfig, parts: int) -> DecoderConfig:
    """What one of `parts` devices computes of the decoder, as a decoder of fewer heads, inner numbers and words.

    Where something does not divide, every device has all of it, as in `sharding`.
    """
    config = spread_heads(config, parts)

    def cut(size: int) -> int:
        return size if size % parts else size // parts

    return dataclasses.replace(
        config,
        num_heads=cut(config.num_heads),
        num_kv_heads=cut(config.num_kv_heads),
        mlp_dim=cut(config.mlp_dim),
        vocab_size=cut(config.vocab_size),
    )


def cache_spec(config: DecoderConfig, mesh: Mesh | AbstractMesh) -> PartitionSpec:
    """How keys and values [B, G, …] of a cache lie: rows over `data`, heads over `model` as the layers make them."""
    parts = mesh.shape["model"]
    return PartitionSpec("data", "model") if parts > 1 and config.num_kv_heads % parts == 0 else PartitionSpec("data")
