"""The Qwen2 family (also Qwen2.5): Llama with biases on query, key and value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import hf_rope
from ipt_jax.models.families.hf_config import MOST_LAYERS, HfConfig
from ipt_jax.models.families.llama import HF_PREFIX, hf_ignored, hf_weights, is_sliding, shape_from_hf

__all__ = ["HF_PREFIX", "config_from_hf", "hf_ignored", "hf_weights"]


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "Qwen2")
    shape = shape_from_hf(hf, max_positions=32_768, kv_heads=32)
    return DecoderConfig(
        **shape,
        qkv_bias=True,
        out_bias=False,
        mlp_bias=False,
        rotaries=(hf_rope.from_hf(hf, shape["head_dim"], shape["max_positions"]),),
        windows=windows(hf),
    )


def windows(hf: HfConfig) -> tuple[int | None, ...]:
    """Off unless `use_sliding_window`; then on from layer `max_window_layers`, where `layer_types` does not say."""
    layers = hf.whole("num_hidden_layers", most=MOST_LAYERS)
    first = hf.whole("max_window_layers", 28, least=0)
    window = hf.whole("sliding_window", None) if "sliding_window" in hf else 4096
    sliding = is_sliding(
        hf, ["sliding_attention" if i >= first and window else "full_attention" for i in range(layers)]
    )
    if not hf.flag("use_sliding_window", False):
        return ()
    return tuple(window if slides else None for slides in sliding)
