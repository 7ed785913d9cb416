"""The GPT-2 family: Hugging Face's names and settings, translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import fused
from ipt_jax.models.families.hf_config import ACTIVATION_NAMES, MOST_LAYERS, HfConfig
from ipt_jax.models.weights import Weight

# What the names of the decoder's own tensors start with; a checkpoint of the bare model lacks it.
HF_PREFIX = "transformer."


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "GPT-2")
    hf.require("add_cross_attention", False)
    hf.ignore("reorder_and_upcast_attn")  # scores and softmax are float32 here in any case
    embed, heads, layers = hf.whole("n_embd"), hf.whole("n_head"), hf.whole("n_layer", most=MOST_LAYERS)
    width = embed // heads
    scale = hf.one_of("scale_attn_weights", {True: max(width, 1) ** -0.5, False: 1.0}, True)  # 0 is refused later
    by_layer = hf.one_of("scale_attn_by_inverse_layer_idx", {True: True, False: False}, False)
    return DecoderConfig(
        vocab_size=hf.whole("vocab_size"),
        embed_dim=embed,
        hidden_dim=embed,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width,
        mlp_dim=hf.whole("n_inner", 4 * embed),
        max_positions=hf.whole("n_positions", 1024),
        norm="layer_norm",
        norm_epsilon=hf.number("layer_norm_epsilon", 1e-5),
        positions="learned",
        activation=hf.one_of("activation_function", ACTIVATION_NAMES, "gelu_new"),
        gated_mlp=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied_head=hf.flag("tie_word_embeddings", True),
        score_scales=tuple(scale / (i + 1 if by_layer else 1) for i in range(layers)),
    )


def hf_weights(config: DecoderConfig) -> list[Weight]:
    """Hugging Face's names. Its Conv1D keeps kernels as [in, out], as we do."""
    h = "transformer.h.{layer}."
    table = [
        Weight("embedding", "transformer.wte.weight"),
        Weight("position_embedding", "transformer.wpe.weight"),
        Weight("final_norm.scale", "transformer.ln_f.weight"),
        Weight("final_norm.bias", "transformer.ln_f.bias"),
        Weight("head", "lm_head.weight"),
    ]
    for place, name in {"attention_norm": "ln_1", "mlp_norm": "ln_2"}.items():
        table += [
            Weight(f"blocks.{place}.scale", f"{h}{name}.weight"),
            Weight(f"blocks.{place}.bias", f"{h}{name}.bias"),
        ]
    table += fused.side_by_side(h + "attn.c_attn")
    for place, name in {"out": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}.items():
        table += [
            Weight(f"blocks.{place}.kernel", f"{h}{name}.weight"),
            Weight(f"blocks.{place}.bias", f"{h}{name}.bias"),
        ]
    return table


def hf_ignored(config: DecoderConfig) -> list[str]:
    tied = [r"lm_head\.weight"] if config.tied_head else []
    return [r"transformer\.h\.\d+\.attn\.(bias|masked_bias)", *tied]
