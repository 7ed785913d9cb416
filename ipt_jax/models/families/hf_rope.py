"""Hugging Face's rope parameters as a `Rotary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.rope import Rotary, fits

# What each kind of scaling must and may say, besides what all may. `dynamic` changes the angles only past
# `max_position_embeddings`, where this project refuses a sequence: within it is the default.
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "default": ((), ()),
    "dynamic": (("factor",), ("original_max_position_embeddings",)),
    "linear": (("factor",), ()),
    "llama3": (("factor", "low_freq_factor", "high_freq_factor"), ("original_max_position_embeddings",)),
    "yarn": (
        (),
        (
            *("factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"),
            *("mscale", "mscale_all_dim", "truncate"),
        ),
    ),
}
_COMMON = ("rope_type", "type", "rope_theta", "partial_rotary_factor")


def from_hf(
    hf: HfConfig, head_dim: int, max_positions: int, *, theta: float = 10_000.0, partial: float = 1.0
) -> Rotary:
    """Reads `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta` (before) of a config.

    Args:
      max_positions: of the checkpoint.
      theta, partial: what the family takes where the config does not say; `partial` is the turned share of a head.
    """
    parameters = hf.part("rope_parameters") or hf.part("rope_scaling") or {}
    theta = hf.number("rope_theta", theta)
    return translate(parameters, head_dim=head_dim, max_positions=max_positions, theta=theta, partial=partial)


def translate(
    parameters: Mapping[str, Any], *, head_dim: int, max_positions: int, theta: float, partial: float = 1.0
) -> Rotary:
    """The turn that one object of rope parameters describes.

    Raises:
      InputError: a kind that is not built, or a setting of the kind that is missing or not understood.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    kind = given.get("rope_type", given.get("type", "default"))
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"rope_type={kind!r} is not implemented; supported: {', '.join(_KINDS)}")
    required, optional = _KINDS[kind]
    strange = [f"{name}={value!r}" for name, value in given.items() if name not in (*required, *optional, *_COMMON)]
    if strange:
        raise InputError(f"rope parameters of rope_type={kind!r} have {', '.join(strange)}, which is not understood")
    lacking = [name for name in required if name not in given]
    if lacking:
        raise InputError(f"rope parameters of rope_type={kind!r} lack {', '.join(lacking)}")
    wrong = [f"{name}={value!r}" for name, value in given.items() if not fits(name, value)]
    dim = int(head_dim * given.get("partial_rotary_factor", partial)) if not wrong else 0
    if not wrong and kind == "llama3" and given["low_freq_factor"] >= given["high_freq_factor"]:
        wrong = [f"{name}={given[name]!r}" for name in ("low_freq_factor", "high_freq_factor")]
    if not wrong and (dim % 2 or not 0 < dim <= head_dim):
        wrong = [f"{dim} turned numbers of heads of {head_dim}"]
    if wrong:
        raise InputError(f"rope parameters of rope_type={kind!r} have {', '.join(wrong)}, which cannot be")
    kept = () if kind == "dynamic" else (*required, *optional)
    return Rotary(
        dim=dim,
        theta=float(given.get("rope_theta", theta)),
        kind="default" if kind == "dynamic" else kind,
        scaling=tuple(sorted((name, given[name]) for name in kept if name in given)),
        max_positions=max_positions,
    )
