"""How the decoder's parameters lie over a mesh: heads, feed-forward width and vocabulary over its `model` axis."""

from __future__ import annotations

from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ipt_jax.models.config import DecoderConfig


def sharding(config: DecoderConfig, mesh: Mesh, place: str, shape: tuple[int, ...]) -> NamedSharding:
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
