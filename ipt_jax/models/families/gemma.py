"""The Gemma 2 and Gemma 3 (text) families: scaled embeddings, four norms in a block, windows in most layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models import rope
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import hf_rope, llama
from ipt_jax.models.families.hf_config import MOST_LAYERS, HfConfig
from ipt_jax.models.families.llama import HF_PREFIX, hf_ignored, is_sliding
from ipt_jax.models.weights import Weight

__all__ = ["HF_PREFIX", "config_from_hf", "hf_ignored", "hf_weights"]

_GLOBAL_THETA, _LOCAL_THETA = 1_000_000.0, 10_000.0  # Gemma 3, where the config does not say


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    third = fields.get("model_type") == "gemma3_text"
    hf = HfConfig.of(fields, "Gemma 3" if third else "Gemma 2")
    hf.require("use_bidirectional_attention", False)
    hf.ignore("hidden_act", "sliding_window_size")  # older names, beside `hidden_activation` and `sliding_window`
    bias, layers = hf.flag("attention_bias", False), hf.whole("num_hidden_layers", most=MOST_LAYERS)
    every = hf.whole("sliding_window_pattern", hf.whole("_sliding_window_pattern", 6)) if third else 2
    sliding = is_sliding(hf, ["sliding_attention" if (i + 1) % every else "full_attention" for i in range(layers)])
    window = hf.whole("sliding_window", None) if "sliding_window" in hf else 4096
    shape = llama.shape_from_hf(
        hf,
        max_positions=131_072 if third else 8192,
        kv_heads=4,
        head_dim=256,
        activation="hidden_activation",
        tied=True,
    )
    turned = shape["head_dim"], shape["max_positions"]
    return DecoderConfig(
        **shape,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=False,
        residual="sandwich",
        norm_unit_offset=True,
        query_key_norm=third,
        embedding_scale=shape["hidden_dim"] ** 0.5,
        score_softcap=_softcap(hf, "attn_logit_softcapping", None if third else 50.0),
        logit_softcap=_softcap(hf, "final_logit_softcapping", None if third else 30.0),
        score_scales=(hf.number("query_pre_attn_scalar", 256) ** -0.5,) * layers,
        windows=tuple(window if slides else None for slides in sliding),
        rotaries=_global_and_local(hf, *turned) if third else (hf_rope.from_hf(hf, *turned),),
        rotary_of_layer=tuple(map(int, sliding)) if third else (),
    )


def _softcap(hf: HfConfig, name: str, default: float | None) -> float | None:
    """Null in the file is no cap, whatever the family's default."""
    return hf.number(name, None) if name in hf else default


def _global_and_local(hf: HfConfig, head_dim: int, max_positions: int) -> tuple[rope.Rotary, rope.Rotary]:
    """Gemma 3 turns its layers that see everything by other angles than those with a window."""
    by_kind, scaling = hf.part("rope_parameters"), hf.part("rope_scaling")
    thetas = {
        "full_attention": hf.number("rope_theta", _GLOBAL_THETA),
        "sliding_attention": hf.number("rope_local_base_freq", _LOCAL_THETA),
    }
    parameters = {kind: by_kind.part(kind) for kind in thetas} if by_kind else {"full_attention": scaling}
    everything, local = (
        hf_rope.translate(parameters.get(kind) or {}, head_dim=head_dim, max_positions=max_positions, theta=theta)
        for kind, theta in thetas.items()
    )
    return everything, local


def hf_weights(config: DecoderConfig) -> list[Weight]:
    """Llama's table with four norms: two go before the parts of a block, two after them."""
    layer = "model.layers.{layer}."
    norms = {
        "blocks.attention_out_norm.scale": layer + "post_attention_layernorm.weight",
        "blocks.mlp_norm.scale": layer + "pre_feedforward_layernorm.weight",
        "blocks.mlp_out_norm.scale": layer + "post_feedforward_layernorm.weight",
    }
    rest = [row for row in llama.hf_weights(config) if row.place not in norms]
    return rest + [Weight(place, source) for place, source in norms.items()]
