"""Tiny random language models for tests: made in milliseconds, without torch and without a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from jax import numpy as jnp
from safetensors.numpy import save_file
from tokenizers import decoders, models, pre_tokenizers

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import HF_FAMILIES, FrozenLM
from ipt_jax.models.tokenizer import Tokenizer
from ipt_jax.models.weights import fill

END = "<|endoftext|>"
# Merges make some tokens longer than a byte, among them two that hold a newline ("\n\n", "t\n") and none that
# could join the template's last space or colon to what follows.
_MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ċ", "Ċ"), ("t", "Ċ"), ("I", "n"), ("p", "u"), ("pu", "t")]

_CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 512,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
    "llama": {
        "model_type": "llama",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
    },
    "bloom": {
        "model_type": "bloom",
        "hidden_size": 32,
        "n_layer": 2,
        "n_head": 4,
        "seq_length": 512,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
}


class Arrays:
    """A `TensorSource` over arrays in memory."""

    label = "arrays in memory"

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self._tensors = dict(tensors)

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def read(self, name: str) -> np.ndarray:
        return self._tensors[name]


def tokenizer_backend() -> tokenizers.Tokenizer:
    """Byte-level BPE: the end token is 0, then the 256 bytes, then a token for each merge."""
    vocabulary = {END: 0}
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[character] = len(vocabulary)
    for first, second in _MERGES:
        vocabulary[first + second] = len(vocabulary)
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, _MERGES))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([tokenizers.AddedToken(END, special=True, normalized=False)])
    return backend


def tiny_tokenizer() -> Tokenizer:
    return Tokenizer(tokenizer_backend(), eos_ids=[0])


def hf_config(family: str, vocab_size: int | None = None, **overrides: Any) -> dict[str, Any]:
    """A `config.json`; `vocab_size` is the tiny tokenizer's unless given."""
    size = vocab_size if vocab_size is not None else tiny_tokenizer().vocab_size
    return _CONFIGS[family] | {"vocab_size": size, "eos_token_id": 0} | overrides


def hf_tensors(config: Mapping[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors f32 under Hugging Face's names, with kernels large enough that answers are far from uniform."""
    random = np.random.default_rng(seed)
    c = HF_FAMILIES[config["model_type"]].config_from_hf(config)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int, scale: float, around: float = 0.0) -> None:
        tensors[name] = (around + scale * random.standard_normal(shape)).astype(np.float32)

    def norm(name: str) -> None:
        add(f"{name}.weight", c.embed_dim, scale=0.2, around=1.0)
        if c.norm == "layer_norm":
            add(f"{name}.bias", c.embed_dim, scale=0.1)

    def linear(name: str, in_dim: int, out_dim: int, bias: bool, out_first: bool) -> None:
        shape = (out_dim, in_dim) if out_first else (in_dim, out_dim)
        add(f"{name}.weight", *shape, scale=1.5 * in_dim**-0.5)
        if bias:
            add(f"{name}.bias", out_dim, scale=0.1)

    query, kv = c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim
    if config["model_type"] == "gpt2":
        add("transformer.wte.weight", c.vocab_size, c.embed_dim, scale=0.5)
        add("transformer.wpe.weight", c.max_positions, c.embed_dim, scale=0.2)
        norm("transformer.ln_f")
        for i in range(c.num_layers):
            layer = f"transformer.h.{i}"
            norm(f"{layer}.ln_1")
            norm(f"{layer}.ln_2")
            linear(f"{layer}.attn.c_attn", c.embed_dim, 3 * query, True, False)
            linear(f"{layer}.attn.c_proj", query, c.embed_dim, True, False)
            linear(f"{layer}.mlp.c_fc", c.embed_dim, c.mlp_dim, True, False)
            linear(f"{layer}.mlp.c_proj", c.mlp_dim, c.embed_dim, True, False)
    elif config["model_type"] == "bloom":
        add("transformer.word_embeddings.weight", c.vocab_size, c.embed_dim, scale=0.5)
        norm("transformer.word_embeddings_layernorm")
        norm("transformer.ln_f")
        for i in range(c.num_layers):
            layer = f"transformer.h.{i}"
            norm(f"{layer}.input_layernorm")
            norm(f"{layer}.post_attention_layernorm")
            linear(f"{layer}.self_attention.query_key_value", c.embed_dim, 3 * query, True, True)
            linear(f"{layer}.self_attention.dense", query, c.embed_dim, True, True)
            linear(f"{layer}.mlp.dense_h_to_4h", c.embed_dim, c.mlp_dim, True, True)
            linear(f"{layer}.mlp.dense_4h_to_h", c.mlp_dim, c.embed_dim, True, True)
    else:
        add("model.embed_tokens.weight", c.vocab_size, c.embed_dim, scale=0.5)
        norm("model.norm")
        for i in range(c.num_layers):
            layer = f"model.layers.{i}"
            norm(f"{layer}.input_layernorm")
            norm(f"{layer}.post_attention_layernorm")
            for name, out in (("q_proj", query), ("k_proj", kv), ("v_proj", kv)):
                linear(f"{layer}.self_attn.{name}", c.embed_dim, out, c.qkv_bias, True)
            linear(f"{layer}.self_attn.o_proj", query, c.embed_dim, c.out_bias, True)
            linear(f"{layer}.mlp.gate_proj", c.embed_dim, c.mlp_dim, c.mlp_bias, True)
            linear(f"{layer}.mlp.up_proj", c.embed_dim, c.mlp_dim, c.mlp_bias, True)
            linear(f"{layer}.mlp.down_proj", c.mlp_dim, c.embed_dim, c.mlp_bias, True)
    if not c.tied_head:
        add("lm_head.weight", c.vocab_size, c.embed_dim, scale=0.5)
    return tensors


def tiny_lm(
    family: str = "llama", seed: int = 0, vocab_size: int | None = None, dtype: str = "float32", **overrides: Any
) -> FrozenLM:
    """A random model of 2 layers with a byte-level tokenizer; `overrides` are leaves of Hugging Face's config."""
    config = hf_config(family, vocab_size, **overrides)
    return assemble(config, hf_tensors(config, seed), dtype=dtype)


def assemble(config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], dtype: str = "float32") -> FrozenLM:
    """The model of a Hugging Face config and its tensors, without any file."""
    family = HF_FAMILIES[config["model_type"]]
    ours = family.config_from_hf(config)
    decoder, shapes = FrozenDecoder.abstract(ours, jnp.dtype(dtype))
    params = fill(decoder, shapes, family.hf_weights(ours), family.hf_ignored(ours), Arrays(tensors))
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return FrozenLM(
        name=f"tiny {config['model_type']}",
        decoder=decoder,
        params=params,
        tokenizer=tiny_tokenizer(),
        fingerprint=digest.hexdigest(),
        dtype=dtype,
        family=config["model_type"],
    )


def write_hf_folder(
    path: Path,
    family: str = "llama",
    seed: int = 0,
    vocab_size: int | None = None,
    backend: tokenizers.Tokenizer | None = None,
    **overrides: Any,
) -> Path:
    """Saves the model that `tiny_lm` makes of the same arguments as a Hugging Face folder; returns it.

    A `backend` of one's own takes the place of the tiny tokenizer; its end token must be 0 too.
    """
    config = hf_config(family, vocab_size, **overrides)
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    (backend or tokenizer_backend()).save(str(path / "tokenizer.json"))
    save_file(hf_tensors(config, seed), path / "model.safetensors")
    return path
