"""The OPT family: Hugging Face's names and settings, translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families.hf_config import ACTIVATION_NAMES, MOST_LAYERS, HfConfig
from ipt_jax.models.weights import Weight, transposed

# What the names of the decoder's own tensors start with; a checkpoint of the bare model lacks it.
HF_PREFIX = "model."

# The position table begins with rows that no real token uses: a token at position t has row t + 2.
_OFFSET = 2


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "OPT")
    hf.require("layer_norm_elementwise_affine", True)
    hidden, heads = hf.whole("hidden_size"), hf.whole("num_attention_heads")
    norm_first = hf.flag("do_layer_norm_before", True)  # False in OPT-350m alone
    bias = hf.flag("enable_bias", True)
    return DecoderConfig(
        vocab_size=hf.whole("vocab_size"),
        embed_dim=hf.whole("word_embed_proj_dim", hidden),
        hidden_dim=hidden,
        num_layers=hf.whole("num_hidden_layers", most=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hidden // heads,
        mlp_dim=hf.whole("ffn_dim"),
        max_positions=hf.whole("max_position_embeddings", 2048),
        norm="layer_norm",
        norm_epsilon=1e-5,
        positions="learned",
        activation=hf.one_of("activation_function", ACTIVATION_NAMES, "relu"),
        gated_mlp=False,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
        tied_head=hf.flag("tie_word_embeddings", True),
        residual="pre_norm" if norm_first else "post_norm",
        final_norm=norm_first and not hf.flag("_remove_final_layer_norm", False),
    )


def _without_offset(array: np.ndarray, config: DecoderConfig) -> np.ndarray:
    return array[_OFFSET:]


def hf_weights(config: DecoderConfig) -> list[Weight]:
    """Hugging Face's names. Its `final_layer_norm` within a layer is the one of the feed-forward network."""
    decoder, layer = "model.decoder.", "model.decoder.layers.{layer}."
    table = [
        Weight("embedding", decoder + "embed_tokens.weight"),
        Weight("position_embedding", decoder + "embed_positions.weight", _without_offset),
        Weight("project_in.kernel", decoder + "project_in.weight", transposed),
        Weight("project_out.kernel", decoder + "project_out.weight", transposed),
        Weight("head", "lm_head.weight"),
    ]
    norms = {
        "final_norm": decoder + "final_layer_norm",
        "blocks.attention_norm": layer + "self_attn_layer_norm",
        "blocks.mlp_norm": layer + "final_layer_norm",
    }
    for place, source in norms.items():
        table += [Weight(f"{place}.scale", f"{source}.weight"), Weight(f"{place}.bias", f"{source}.bias")]
    for place, name in {
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "out": "self_attn.out_proj",
        "up": "fc1",
        "down": "fc2",
    }.items():
        table.append(Weight(f"blocks.{place}.kernel", f"{layer}{name}.weight", transposed))
        table.append(Weight(f"blocks.{place}.bias", f"{layer}{name}.bias"))
    return table


def hf_ignored(config: DecoderConfig) -> list[str]:
    return [r"lm_head\.weight"] if config.tied_head else []
