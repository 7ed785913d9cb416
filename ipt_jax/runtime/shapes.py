"""Sizes that arrays of tokens are padded to: few, because each is a program to compile, and no larger than need be."""

from __future__ import annotations

import math

import numpy as np

# What a target adds to a position, which passes the last layer and the output projection as well: a twentieth for
# GPT-2 XL, a quarter for SmolLM2 135M, half for BLOOM 1b1.
_TARGET_COST = 0.25


def bucket(length: int, smallest: int = 32) -> int:
    """The next of 32, 48, 64, 96, 128, 192, 256, …: at most a third of a row is padding, and few shapes compile.

    >>> [bucket(n) for n in (1, 32, 33, 49, 65, 100, 200)]
    [32, 32, 48, 64, 96, 128, 256]
    """
    size = smallest
    while True:
        for candidate in (size, size * 3 // 2):
            if length <= candidate:
                return candidate
        size *= 2


def round_up(length: int, multiple: int = 16, parts: int = 16) -> int:
    """The next multiple of `multiple`, at least one; of long ones of the next power of two over `parts`.

    Few widths, little padding.

    >>> [round_up(n) for n in (0, 1, 16, 17, 200, 300, 600)]
    [16, 16, 16, 32, 208, 320, 640]
    """
    step = max(multiple, (1 << max(length - 1, 0).bit_length()) // parts)
    return max(1, math.ceil(length / step)) * step


def few_shapes(needed: np.ndarray, most: int, limit: int | None = None) -> np.ndarray:
    """At most `most` shapes for batches that need other ones, so chosen that little is padded.

    All batches are known beforehand, so the shapes follow from them: one that fits all, and then, one by one, the one
    that saves most. Widths are multiples of 8, beyond 512 of a 64th of the next power of two.

    >>> few_shapes(np.array([[20, 8], [24, 5], [60, 8], [200, 30]]), 3).tolist()
    [[24, 8], [64, 8], [200, 32]]

    Args:
      needed: i64[S, 2], tokens and targets of the longest row of each batch.
      most: at least one.
      limit: tokens that no shape may pass.

    Returns:
      i64[n, 2], n at most `most`, in the order of what they cost: a batch takes the first one that fits it.
    """
    exact, times = np.unique(needed, axis=0, return_counts=True)
    pairs = np.array([[round_up(int(size), 8, 64) for size in pair] for pair in exact])
    pairs[:, 0] = np.minimum(pairs[:, 0], pairs[:, 0].max() if limit is None else limit)
    widths, targets = np.unique(pairs[:, 0]), np.unique(pairs[:, 1])
    chosen = [(widths[-1], targets[-1])]
    cost = np.full(len(pairs), _cost(*chosen[0]))
    while len(chosen) < most:
        saved = np.stack([_saved(pairs, times, cost, width, targets) for width in widths])
        if saved.max() <= 0:
            break
        i, j = np.unravel_index(saved.argmax(), saved.shape)
        chosen.append((widths[i], targets[j]))
        fits = (pairs <= chosen[-1]).all(axis=1)
        cost[fits] = np.minimum(cost[fits], _cost(*chosen[-1]))
    return np.array(sorted(chosen, key=lambda shape: _cost(*shape)))


def _cost(width: int, targets: int | np.ndarray) -> float | np.ndarray:
    return width + _TARGET_COST * targets


def _saved(pairs: np.ndarray, times: np.ndarray, cost: np.ndarray, width: int, targets: np.ndarray) -> np.ndarray:
    """f64[len(targets)]: what a further shape, of this width and each of these targets, would save."""
    fits = pairs[:, 0] <= width
    each = np.maximum(cost[fits] - _cost(width, targets[:, None]), 0)
    return (each * (pairs[fits, 1] <= targets[:, None])) @ times[fits]
