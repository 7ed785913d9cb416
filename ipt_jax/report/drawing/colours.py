"""The colours of methods: one for each way to use a language model, the same in every figure of every report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ipt_jax.report.reading.methods import Method, Setting

# Read on white as on near-black, and told apart with the common colour deficiencies.
PT, IPT, RETRIEVED, RANDOM, LOADED, NONE = "#3f83c9", "#d9781f", "#2f9a74", "#a566b8", "#c8524f", "#8a8a2a"

# Relative luminances at which a line has a contrast of three to one with both grounds of the page (WCAG 2.2, 1.4.11).
_DARKEST, _LIGHTEST = 0.14, 0.29


def colour(method: Method) -> str:
    """By what is before the input: rows that were trained with or without demonstrations, or loaded; or none."""
    if method.tuned:
        return IPT if method.demonstrations else PT
    if method.kind.prompted:
        return LOADED
    if method.demonstrations:
        return RETRIEVED if method.retrieved else RANDOM
    return NONE


def colours(setting: Setting) -> dict[str, str]:
    """Label → colour. Methods that share one get shades of it, from dark to light.

    All methods of the page are counted, so that one of several settings has one colour in all their figures.
    """
    labels = {method.label: method for method in (*setting.beside, *setting.methods)}
    return shaded(list(labels.values()))


def shaded(methods: Sequence[Method]) -> dict[str, str]:
    """The same of these methods alone."""
    alike: dict[str, list[str]] = {}
    for method in methods:
        alike.setdefault(colour(method), []).append(method.label)
    return {
        label: shade
        for hue, labels in alike.items()
        for label, shade in zip(labels, _shades(hue, len(labels)), strict=True)
    }


def luminance(hue: str) -> float:
    """The relative luminance of `#rrggbb`, from 0 for black to 1 for white (WCAG 2.2)."""
    return float(_linear(hue) @ [0.2126, 0.7152, 0.0722])


def _shades(hue: str, count: int) -> list[str]:
    if count == 1:
        return [hue]
    return [_as_bright(hue, bright) for bright in np.linspace(_DARKEST, _LIGHTEST, count)]


def _as_bright(hue: str, bright: float) -> str:
    """The same hue at another luminance: black is mixed to it, or white."""
    own, linear = luminance(hue), _linear(hue)
    mixed = linear * bright / own if bright < own else linear + (1 - linear) * (bright - own) / (1 - own)
    coded = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * value):02x}" for value in coded)


def _linear(hue: str) -> np.ndarray:
    """f64[3] of red, green and blue as light (IEC 61966-2-1)."""
    coded = np.array([int(hue[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
