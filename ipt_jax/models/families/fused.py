"""Cuts the fused query-key-value tensors of some checkpoints into the three that the decoder keeps."""

from __future__ import annotations

import numpy as np

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.weights import Transform, Weight

_PLACES = ("query", "key", "value")


def side_by_side(source: str) -> list[Weight]:
    """GPT-2's Conv1D: kernel [in, 3 · N · H], all queries first, then all keys, then all values."""

    def third(index: int) -> Transform:
        return lambda array, config: np.split(array, 3, axis=-1)[index]

    return [
        Weight(f"blocks.{place}.{leaf}", f"{source}.{name}", third(index))
        for index, place in enumerate(_PLACES)
        for leaf, name in (("kernel", "weight"), ("bias", "bias"))
    ]


def by_head(source: str) -> list[Weight]:
    """BLOOM's and GPT-NeoX's Linear: kernel [N · 3 · H, in], the query, key and value of a head side by side."""

    def of_heads(array: np.ndarray, config: DecoderConfig, index: int) -> np.ndarray:
        heads = array.reshape(config.num_heads, 3, config.head_dim, *array.shape[1:])
        return heads[:, index].reshape(-1, *array.shape[1:])

    def kernel(index: int) -> Transform:
        return lambda array, config: of_heads(array, config, index).T

    def bias(index: int) -> Transform:
        return lambda array, config: of_heads(array, config, index)

    rows = [Weight(f"blocks.{place}.kernel", f"{source}.weight", kernel(i)) for i, place in enumerate(_PLACES)]
    return rows + [Weight(f"blocks.{place}.bias", f"{source}.bias", bias(i)) for i, place in enumerate(_PLACES)]
