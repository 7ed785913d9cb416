"""The Llama family (also SmolLM2): Hugging Face and GGUF names and settings, translated. Others build on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.families import hf_rope
from ipt_jax.models.families.hf_config import ACTIVATION_NAMES, MOST_LAYERS, HfConfig
from ipt_jax.models.weights import Weight, transposed

# What the names of the decoder's own tensors start with; a checkpoint of the bare model lacks it.
HF_PREFIX = "model."


def config_from_hf(fields: Mapping[str, Any]) -> DecoderConfig:
    """Translates a `config.json`. Raises InputError for a setting that changes the arithmetic and is not built."""
    hf = HfConfig.of(fields, "Llama")
    hf.require("pretraining_tp", 1)
    shape = shape_from_hf(hf, max_positions=2048)
    return DecoderConfig(
        **shape,
        qkv_bias=hf.flag("attention_bias", False),
        out_bias=hf.flag("attention_bias", False),
        mlp_bias=hf.flag("mlp_bias", False),
        rotaries=(hf_rope.from_hf(hf, shape["head_dim"], shape["max_positions"]),),
    )


def shape_from_hf(
    hf: HfConfig,
    *,
    max_positions: int,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    activation: str = "hidden_act",
    tied: bool = False,
) -> dict[str, Any]:
    """What Llama and the families after it say in the same words, as fields of `DecoderConfig`.

    Args:
      max_positions, kv_heads, head_dim, tied: what transformers takes where the file does not say; None for as many
        key-value heads as heads, and for a width that follows from the others.
      activation: the field that names it.
    """
    hidden, heads = hf.whole("hidden_size"), hf.whole("num_attention_heads")
    missing = kv_heads is not None and "num_key_value_heads" not in hf
    return {
        "vocab_size": hf.whole("vocab_size"),
        "embed_dim": hidden,
        "hidden_dim": hidden,
        "num_layers": hf.whole("num_hidden_layers", most=MOST_LAYERS),
        "num_heads": heads,
        "num_kv_heads": hf.whole("num_key_value_heads", kv_heads if missing else heads),
        "head_dim": hf.whole("head_dim", head_dim or hidden // heads),
        "mlp_dim": hf.whole("intermediate_size"),
        "max_positions": hf.whole("max_position_embeddings", max_positions),
        "norm": "rms_norm",
        "norm_epsilon": hf.number("rms_norm_eps", 1e-6),
        "positions": "rotary",
        "activation": hf.one_of(
            activation, ACTIVATION_NAMES, "silu" if activation == "hidden_act" else "gelu_pytorch_tanh"
        ),
        "gated_mlp": True,
        "tied_head": hf.flag("tie_word_embeddings", tied),
    }


def is_sliding(hf: HfConfig, default: Sequence[str]) -> list[bool]:
    """Of each layer, whether its attention sees a window only; `default` stands for a missing `layer_types`."""
    kinds, layers = hf.get("layer_types") or default, hf.whole("num_hidden_layers", most=MOST_LAYERS)
    supported = ("sliding_attention", "full_attention")
    if not isinstance(kinds, Sequence) or len(kinds) != layers or any(kind not in supported for kind in kinds):
        raise InputError(
            f"{hf.label}: layer_types has to be one of {', '.join(supported)} for each of the {layers} layers"
        )
    return [kind == "sliding_attention" for kind in kinds]


def hf_weights(config: DecoderConfig) -> list[Weight]:
    """Hugging Face's names. Rows whose place a config lacks (biases, head norms, an untied head) are passed over."""
    layer = "model.layers.{layer}."
    table = [
        Weight("embedding", "model.embed_tokens.weight"),
        Weight("blocks.attention_norm.scale", layer + "input_layernorm.weight"),
        Weight("blocks.mlp_norm.scale", layer + "post_attention_layernorm.weight"),
        Weight("blocks.query_norm.scale", layer + "self_attn.q_norm.weight"),
        Weight("blocks.key_norm.scale", layer + "self_attn.k_norm.weight"),
        Weight("final_norm.scale", "model.norm.weight"),
        Weight("head", "lm_head.weight"),
    ]
    for place, name in {
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "out": "self_attn.o_proj",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }.items():
        table.append(Weight(f"blocks.{place}.kernel", f"{layer}{name}.weight", transposed))
        table.append(Weight(f"blocks.{place}.bias", f"{layer}{name}.bias"))
    return table


def hf_ignored(config: DecoderConfig) -> list[str]:
    tied = [r"lm_head\.weight"] if config.tied_head else []
    return [r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", *tied]


def hf_config_from_gguf(fields: HfConfig, tensor_names: Collection[str]) -> dict[str, Any]:
    """GGUF's `llama.*` fields as the `config.json` they came from; a file without an output projection ties it.

    Raises InputError for a rope scaling or a partial rotation, which this decoder does not have.
    """
    fields.require("llama.rope.scaling.type", "none")
    hidden, heads = fields.whole("llama.embedding_length"), fields.whole("llama.attention.head_count")
    width = fields.whole("llama.attention.key_length", hidden // heads)
    fields.require("llama.rope.dimension_count", width)
    tokens = fields.get("tokenizer.ggml.tokens", [])
    return {
        "vocab_size": fields.whole("llama.vocab_size", len(tokens) if isinstance(tokens, list) else 0),
        "hidden_size": hidden,
        "num_hidden_layers": fields.whole("llama.block_count", most=MOST_LAYERS),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.whole("llama.attention.head_count_kv", heads),
        "head_dim": width,
        "intermediate_size": fields.whole("llama.feed_forward_length"),
        "max_position_embeddings": fields.whole("llama.context_length"),
        "rms_norm_eps": fields.number("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": fields.number("llama.rope.freq_base", 10_000.0),
        "tie_word_embeddings": "output.weight" not in tensor_names,
    }


def _unpaired(heads: str):
    """GGUF stores each query and key head with rotation pairs side by side; ours has them half a head apart.

    For a head of width 4, GGUF's output rows are those of Hugging Face in the order 0, 2, 1, 3.
    """

    def transform(array: np.ndarray, config: DecoderConfig) -> np.ndarray:
        count = getattr(config, heads)
        paired = array.reshape(count, config.head_dim // 2, 2, array.shape[-1])
        return paired.swapaxes(1, 2).reshape(array.shape).T

    return transform


def gguf_weights(config: DecoderConfig) -> list[Weight]:
    """GGUF's names; arrays as the `gguf` package dequantises them, [out, in]."""
    block = "blk.{layer}."
    return [
        Weight("embedding", "token_embd.weight"),
        Weight("blocks.attention_norm.scale", block + "attn_norm.weight"),
        Weight("blocks.query.kernel", block + "attn_q.weight", _unpaired("num_heads")),
        Weight("blocks.key.kernel", block + "attn_k.weight", _unpaired("num_kv_heads")),
        Weight("blocks.value.kernel", block + "attn_v.weight", transposed),
        Weight("blocks.out.kernel", block + "attn_output.weight", transposed),
        Weight("blocks.mlp_norm.scale", block + "ffn_norm.weight"),
        Weight("blocks.gate.kernel", block + "ffn_gate.weight", transposed),
        Weight("blocks.up.kernel", block + "ffn_up.weight", transposed),
        Weight("blocks.down.kernel", block + "ffn_down.weight", transposed),
        Weight("final_norm.scale", "output_norm.weight"),
        Weight("head", "output.weight"),
    ]
