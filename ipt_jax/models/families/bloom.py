"""The BLOOM family: Hugging Face's names and settings, translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import fused
from ipt_jax.models.families.hf_config import MOST_LAYERS, HfConfig
from ipt_jax.models.weights import Weight, transposed

# What the names of the decoder's own tensors start with; a checkpoint of the bare model lacks it.
HF_PREFIX = "transformer."

# ALiBi knows no end; the released models were trained on sequences of this length.
_TRAINED_POSITIONS = 2048


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "BLOOM")
    hf.require("apply_residual_connection_post_layernorm", False)
    hf.ignore("pretraining_tp", "slow_but_exact")  # the order of sums in the program that trained it
    # Released configs have now the one, now the other name.
    hidden = hf.whole("n_embed", None) or hf.whole("hidden_size")
    hf.ignore("hidden_size")
    heads = hf.whole("num_attention_heads" if "num_attention_heads" in hf else "n_head")
    layers = hf.whole("num_hidden_layers" if "num_hidden_layers" in hf else "n_layer", most=MOST_LAYERS)
    return DecoderConfig(
        vocab_size=hf.whole("vocab_size"),
        embed_dim=hidden,
        hidden_dim=hidden,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hidden // heads,
        mlp_dim=4 * hidden,
        max_positions=hf.whole("seq_length", _TRAINED_POSITIONS),
        norm="layer_norm",
        norm_epsilon=hf.number("layer_norm_epsilon", 1e-5),
        positions="alibi",
        activation="gelu_new",
        gated_mlp=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied_head=hf.flag("tie_word_embeddings", True),
        embedding_norm=True,
    )


def hf_weights(config: DecoderConfig) -> list[Weight]:
    h = "transformer.h.{layer}."
    table = [Weight("embedding", "transformer.word_embeddings.weight"), Weight("head", "lm_head.weight")]
    norms = {
        "embedding_norm": "transformer.word_embeddings_layernorm",
        "final_norm": "transformer.ln_f",
        "blocks.attention_norm": h + "input_layernorm",
        "blocks.mlp_norm": h + "post_attention_layernorm",
    }
    for place, source in norms.items():
        table += [Weight(f"{place}.scale", f"{source}.weight"), Weight(f"{place}.bias", f"{source}.bias")]
    table += fused.by_head(h + "self_attention.query_key_value")
    for place, name in {
        "out": "self_attention.dense",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
    }.items():
        table.append(Weight(f"blocks.{place}.kernel", f"{h}{name}.weight", transposed))
        table.append(Weight(f"blocks.{place}.bias", f"{h}{name}.bias"))
    return table


def hf_ignored(config: DecoderConfig) -> list[str]:
    return [r"lm_head\.weight"] if config.tied_head else []
