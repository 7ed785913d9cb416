"""The GPT-NeoX family (also Pythia): Hugging Face's names and settings, translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import fused, hf_rope
from ipt_jax.models.families.hf_config import ACTIVATION_NAMES, MOST_LAYERS, HfConfig
from ipt_jax.models.weights import Weight, transposed

# What the names of the decoder's own tensors start with; a checkpoint of the bare model lacks it.
HF_PREFIX = "gpt_neox."


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "GPT-NeoX")
    hidden, heads = hf.whole("hidden_size"), hf.whole("num_attention_heads")
    attention_bias = hf.flag("attention_bias", True)
    positions = hf.whole("max_position_embeddings", 2048)
    parallel = hf.one_of("use_parallel_residual", {True: "parallel", False: "pre_norm"}, True)
    return DecoderConfig(
        vocab_size=hf.whole("vocab_size"),
        embed_dim=hidden,
        hidden_dim=hidden,
        num_layers=hf.whole("num_hidden_layers", most=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hidden // heads,
        mlp_dim=hf.whole("intermediate_size"),
        max_positions=positions,
        norm="layer_norm",
        norm_epsilon=hf.number("layer_norm_eps", 1e-5),
        positions="rotary",
        activation=hf.one_of("hidden_act", ACTIVATION_NAMES, "gelu"),
        gated_mlp=False,
        qkv_bias=attention_bias,
        out_bias=attention_bias,
        mlp_bias=True,
        tied_head=hf.flag("tie_word_embeddings", False),
        residual=parallel,
        rotaries=(
            hf_rope.from_hf(
                hf,
                hidden // heads,
                positions,
                theta=hf.number("rotary_emb_base", 10_000.0),
                partial=hf.number("rotary_pct", 0.25),
            ),
        ),
    )


def hf_weights(config: DecoderConfig) -> list[Weight]:
    layer = "gpt_neox.layers.{layer}."
    table = [Weight("embedding", "gpt_neox.embed_in.weight"), Weight("head", "embed_out.weight")]
    norms = {
        "final_norm": "gpt_neox.final_layer_norm",
        "blocks.attention_norm": layer + "input_layernorm",
        "blocks.mlp_norm": layer + "post_attention_layernorm",
    }
    for place, source in norms.items():
        table += [Weight(f"{place}.scale", f"{source}.weight"), Weight(f"{place}.bias", f"{source}.bias")]
    table += fused.by_head(layer + "attention.query_key_value")
    for place, name in {"out": "attention.dense", "up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}.items():
        table.append(Weight(f"blocks.{place}.kernel", f"{layer}{name}.weight", transposed))
        table.append(Weight(f"blocks.{place}.bias", f"{layer}{name}.bias"))
    return table


def hf_ignored(config: DecoderConfig) -> list[str]:
    tied = [r"embed_out\.weight|lm_head\.weight"] if config.tied_head else []
    return [r"gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)", *tied]
