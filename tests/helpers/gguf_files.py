"""GGUF files of tiny checkpoints."""

import json

import gguf
import numpy as np
import tiny


def paired(array, heads):
    """Hugging Face's query or key kernel [out, in] in GGUF's order: the two rows of a rotation side by side."""
    rows = array.reshape(heads, 2, -1, array.shape[-1])
    return np.stack([rows[:, 0], rows[:, 1]], axis=2).reshape(array.shape)


def write_gguf(path, config, tensors, kind=None):
    """A tiny Llama as GGUF, by the `gguf` package's own writer, its matrices quantised to `kind`."""
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    backend = tiny.tokenizer_backend()
    vocabulary = sorted(backend.get_vocab(), key=backend.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token == tiny.END else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in json.loads(backend.to_str())["model"]["merges"]])
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, array in tensors.items():
        if "q_proj" in name or "k_proj" in name:
            array = paired(array, heads if "q_proj" in name else groups)
        quantised = kind is not None and array.ndim == 2
        stored, raw = (gguf.quantize(array, kind), kind) if quantised else (array, None)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), stored, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
