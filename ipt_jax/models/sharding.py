"""How the decoder's parameters lie over a mesh: heads, feed-forward width and vocabulary over its `model` axis."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from flax import nnx
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from ipt_jax.models.config import DecoderConfig


def sharding(config: DecoderConfig, mesh: Mesh | AbstractMesh, place: str, shape: tuple[int, ...]) -> NamedSharding:
    """How the parameter at `place` is laid out; whatever has no rule, or does not divide evenly, is on every device.

    The layout is Megatron's (arXiv 1909.08053): query, key, value, gate and up are cut by output, out and down by
    input, so that a block needs one sum over devices after attention and one after the feed-forward network. Whole
    heads go together: eight devices hold a key-value head of eight each, or all hold all of four. The table of a
    vocabulary that does not divide (50,257) is cut by its width instead.

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
    elif name in ("embedding", "head") and parts > 1:
        divisible = [axis for axis, size in enumerate(shape) if size % parts == 0]
        if divisible:
            axes[divisible[0]] = "model"
    return NamedSharding(mesh, PartitionSpec(*axes))


def laid_out(config: DecoderConfig, shapes: Any, mesh: Mesh | AbstractMesh) -> Any:
    """The shapes of a decoder's parameters, each with its layout: programs are compiled for them without a weight."""
    flat = []
    for path, leaf in nnx.to_flat_state(shapes):
        layout = sharding(config, mesh, ".".join(map(str, path)), leaf.shape)
        flat.append((path, leaf.replace(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout))))
    return nnx.from_flat_state(flat)


def part_of(config: DecoderConfig, parts: int) -> DecoderConfig:
    """What one of `parts` devices computes of the decoder, as a decoder of fewer heads, inner numbers and words.

    Where something does not divide, every device has all of it, as in `sharding`. A vocabulary that does not divide
    is counted whole: its table is cut by width, but each device ends with the logits of all words.
    """

    def cut(size: int) -> int:
        return size if size % parts else size // parts

    return dataclasses.replace(
        config,
        num_heads=cut(config.num_heads),
        num_kv_heads=cut(config.num_kv_heads),
        mlp_dim=cut(config.mlp_dim),
        vocab_size=cut(config.vocab_size),
    )


def cache_spec(config: DecoderConfig, mesh: Mesh | AbstractMesh, groups: int) -> PartitionSpec:
    """How keys and values [B, X, …] of a cache lie: rows over `data`, heads over `model` as the layers make them.

    Args:
      groups: X. Where it counts beams besides, as what beams generated does, every device has all of them.
    """
    cut = groups == config.num_kv_heads and groups % mesh.shape["model"] == 0
    return PartitionSpec("data", "model") if cut and mesh.shape["model"] > 1 else PartitionSpec("data")
