"""The Mistral family: Llama, with a window over the last positions in the first releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import hf_rope
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.families.llama import HF_PREFIX, hf_ignored, hf_weights, shape_from_hf

__all__ = ["HF_PREFIX", "config_from_hf", "hf_ignored", "hf_weights"]


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "Mistral")
    shape = shape_from_hf(hf, max_positions=131_072, kv_heads=8)
    # A missing window is the first release's; the later ones write null, for none.
    window = hf.whole("sliding_window", None) if "sliding_window" in hf else 4096
    return DecoderConfig(
        **shape,
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        rotaries=(hf_rope.from_hf(hf, shape["head_dim"], shape["max_positions"]),),
        windows=(window,) * shape["num_layers"],
    )
