"""The Qwen3 family: Llama with a norm on each head's query and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import hf_rope
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.families.llama import HF_PREFIX, hf_ignored, hf_weights, shape_from_hf
from ipt_jax.models.families.qwen2 import windows

__all__ = ["HF_PREFIX", "config_from_hf", "hf_ignored", "hf_weights"]


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "Qwen3")
    shape = shape_from_hf(hf, max_positions=32_768, kv_heads=32, head_dim=128)
    bias = hf.flag("attention_bias", False)
    return DecoderConfig(
        **shape,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=False,
        query_key_norm=True,
        rotaries=(hf_rope.from_hf(hf, shape["head_dim"], shape["max_positions"]),),
        windows=windows(hf),
    )
