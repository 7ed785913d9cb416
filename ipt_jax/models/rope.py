"""Rotary position embedding and the ways in which checkpoints stretch it to longer contexts."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Rotary:
    """How queries and keys are turned (RoFormer, arXiv 2104.09864).

    Attributes:
      dim: how many numbers of a head are turned, even; the rest of the head passes as it is.
      theta: base of the geometric series of frequencies.
      kind: a key of Hugging Face's `rope_type` that `frequencies` knows.
      scaling: the settings of that kind, (name, value), sorted.
      max_positions: of the checkpoint; some kinds fall back on it.
    """

    dim: int
    theta: float
    kind: str = "default"
    scaling: tuple[tuple[str, float], ...] = ()
    max_positions: int = 0

    @property
    def frequencies(self) -> np.ndarray:
        """f32[dim / 2], radians per position, after scaling (transformers' `ROPE_INIT_FUNCTIONS`)."""
        scaling = dict(self.scaling)
        # In float32 from the start, as the models were trained and as transformers does.
        series = 1 / np.float32(self.theta) ** (np.arange(0, self.dim, 2, dtype=np.float32) / self.dim)
        if self.kind == "linear":
            series = series / scaling["factor"]
        elif self.kind == "llama3":
            series = _llama3(series, scaling, self.max_positions)
        elif self.kind == "yarn":
            series = _yarn(series, self, scaling)
        return series.astype(np.float32)

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by: YaRN's attention factor, else 1."""
        scaling = dict(self.scaling)
        if self.kind != "yarn":
            return 1.0
        if scaling.get("attention_factor") is not None:
            return float(scaling["attention_factor"])

        def of(factor: float, mscale: float = 1.0) -> float:
            return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0

        factor = _factor(scaling, self.max_positions)
        if scaling.get("mscale") and scaling.get("mscale_all_dim"):
            return of(factor, scaling["mscale"]) / of(factor, scaling["mscale_all_dim"])
        return of(factor)

    def angles(self, positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cosines and sines, two arrays f32[..., 1, dim / 2]; the axis of length 1 stands for the heads.

        Args:
          positions: i32[...], each token's place in its row, prompt rows counted.
        """
        frequencies = jnp.asarray(self.frequencies).reshape((1,) * (positions.ndim + 1) + (-1,))
        angles = positions.astype(jnp.float32)[..., None, None] * frequencies
        return self.magnitude * jnp.cos(angles), self.magnitude * jnp.sin(angles)


def rotate(x: jax.Array, angles: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turns each pair (x[i], x[i + dim/2]) by its angle, the half-split layout of Hugging Face's Llama.

    Args:
      x: [..., heads, H] queries or keys; what lies past the angles' width is left alone.
      angles: from `Rotary.angles`, for the same leading axes.
    """
    cos, sin = angles
    half = cos.shape[-1]
    first, second = (x[..., i * half : (i + 1) * half].astype(jnp.float32) for i in (0, 1))
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)
    return turned if x.shape[-1] == 2 * half else jnp.concatenate([turned, x[..., 2 * half :]], axis=-1)


def fits(name: str, value: Any) -> bool:
    """Whether a setting can have this value."""
    if name in ("rope_type", "type"):
        return isinstance(value, str)
    if name == "truncate":
        return isinstance(value, bool)
    if type(value) not in (int, float) or not 0 <= value <= sys.float_info.max:
        return False
    return value > 0 or name in ("mscale", "mscale_all_dim")


def _factor(scaling: Mapping[str, float], max_positions: int) -> float:
    if "factor" in scaling:
        return scaling["factor"]
    return max_positions / scaling.get("original_max_position_embeddings", max_positions)


def _llama3(series: np.ndarray, scaling: Mapping[str, float], max_positions: int) -> np.ndarray:
    """Slow frequencies are divided by the factor, quick ones kept, those between interpolated (Llama 3.1)."""
    wavelengths = np.float32(2 * math.pi) / series
    turns = np.float32(scaling.get("original_max_position_embeddings", max_positions)) / wavelengths
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - kept) * series / scaling["factor"] + kept * series


def _yarn(series: np.ndarray, rotary: Rotary, scaling: Mapping[str, float]) -> np.ndarray:
    """As `_llama3`, with the share that is kept falling linearly over the frequencies' index (arXiv 2309.00071)."""
    original = scaling.get("original_max_position_embeddings", rotary.max_positions)

    def index_of(turns: float) -> float:
        """Where in the series a frequency makes so many turns within the original positions."""
        return rotary.dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(rotary.theta))

    first, last = index_of(scaling.get("beta_fast") or 32), index_of(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, rotary.dim - 1)
    divided = np.clip((np.arange(len(series)) - first) / (last - first or 0.001), 0.0, 1.0)
    return series * (1 - divided + divided / _factor(scaling, rotary.max_positions))
