"""Models of the paper's real shapes against transformers: logits and a soft prompt's gradient, in float32.

    python -m benchmarks.reference [--case=gpt2-xl …] [--json=FILE]

Needs torch beside ipt_jax. Each case is built by transformers from the published configuration with random weights,
saved as a Hugging Face folder, answered by torch, loaded by ipt_jax in a process of its own, and compared: rows alone
and in one padded batch, after a soft prompt, and the prompt's gradient. Takes up to 7 GB of disk and 14 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.side_by_side import MODELS

CASES: dict[str, dict[str, Any]] = {
    **{name: MODELS[name] for name in ("gpt2-xl", "opt-1.3b", "bloom-1b1")},
    # Not a published one: the same shape without the kinks of ReLU, see `kinks`.
    "opt-1.3b with gelu": MODELS["opt-1.3b"] | {"activation_function": "gelu"},
}
LENGTHS, PROMPT_ROWS, TARGETS = (48, 21), 10, 8


def answer_by_torch(case: str, folder: Path) -> None:
    """Saves the model and `answers.npz` in `folder`.

    tokens i32[B, T]; prompt f32[P, E]; logits_<i> f32[n, V], of row i alone; padded_<i>, of row i in the padded batch;
    prompted_<i> f32[P + n, V]; gradient f32[P, E], of the mean negative log-likelihood of each row's last TARGETS
    tokens after the prompt; kinks f32[P, E], torch's own gradient after every number of the prompt moved by one part
    in a million. ReLU's slope jumps at zero: of eleven million inputs some change sides when anything is rounded
    differently, and the two gradients of torch differ as much as ours from either.
    """
    import torch
    import transformers

    settings = dict(CASES[case])
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms are constant until something moves them
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.requires_grad_(False)
    model.save_pretrained(folder, max_shard_size="2GB")
    tokens = torch.randint(3, config.vocab_size, (len(LENGTHS), max(LENGTHS)))
    seen = torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]
    embed = model.get_input_embeddings()
    prompt = (embed.weight.std() * torch.randn(PROMPT_ROWS, embed.weight.shape[1])).requires_grad_()
    answers = {"tokens": tokens, "prompt": prompt.detach()}

    def prompted(prompt: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=torch.cat([prompt[None], embed(row)], dim=1)).logits[0]

    def gradient(prompt: torch.Tensor) -> torch.Tensor:
        losses = []
        for i, length in enumerate(LENGTHS):
            row = tokens[i : i + 1, :length]
            losses.append(
                torch.nn.functional.cross_entropy(prompted(prompt, row)[-TARGETS - 1 : -1], row[0, -TARGETS:])
            )
        return torch.autograd.grad(sum(losses) / len(losses), prompt)[0]

    positions = {} if config.model_type == "bloom" else {"position_ids": (seen.long().cumsum(-1) - 1).clamp(min=0)}
    with torch.no_grad():
        padded = model(tokens, attention_mask=seen.long(), **positions).logits
    for i, length in enumerate(LENGTHS):
        row = tokens[i : i + 1, :length]
        with torch.no_grad():
            answers[f"logits_{i}"] = model(row).logits[0]
        answers[f"padded_{i}"] = padded[i, :length]
        with torch.no_grad():
            answers[f"prompted_{i}"] = prompted(prompt, row)
    answers["gradient"] = gradient(prompt)
    moved = prompt.detach() * (1 + 1e-6 * torch.randn_like(prompt).sign())
    answers["kinks"] = gradient(moved.requires_grad_())
    np.savez(folder / "answers.npz", **{name: value.numpy() for name, value in answers.items()})


def compare_with_jax(case: str, folder: Path) -> dict[str, Any]:
    """Largest errors of ipt_jax, each relative to the largest number of what it is compared with."""
    import jax
    import jax.numpy as jnp

    from ipt_jax.models.decoder import FrozenDecoder
    from ipt_jax.models.files.hf_folder import WeightsFolder, read_json
    from ipt_jax.models.loading import HF_FAMILIES
    from ipt_jax.models.weights import fill

    started = time.monotonic()
    hf = read_json(folder / "config.json")
    family = HF_FAMILIES[hf["model_type"]]
    config = family.config_from_hf(hf)
    decoder, shapes = FrozenDecoder.abstract(config, jnp.float32)
    source = WeightsFolder(folder, family.HF_PREFIX)
    params = fill(decoder, shapes, family.hf_weights(config), family.hf_ignored(config), source)
    loaded = time.monotonic() - started
    with np.load(folder / "answers.npz") as file:
        answers = dict(file)
    tokens, prompt = answers["tokens"], answers["prompt"]

    @jax.jit
    def logits(params, embeddings):
        return decoder.project(params, decoder.hidden(params, embeddings))

    @jax.jit
    def prompted_logits(prompt, params, tokens):
        rows = jnp.broadcast_to(prompt, (len(tokens), *prompt.shape))
        return logits(params, jnp.concatenate([rows, decoder.embed(params, tokens)], axis=1))

    @jax.jit
    def loss(prompt, params, tokens):
        scores = jax.nn.log_softmax(prompted_logits(prompt, params, tokens))
        losses = []
        for i, length in enumerate(LENGTHS):
            places = PROMPT_ROWS + length - TARGETS - 1 + np.arange(TARGETS)
            losses.append(-scores[i, places, tokens[i, length - TARGETS : length]].mean())
        return sum(losses) / len(losses)

    def error(ours: jax.Array, name: str) -> float:
        return float(np.abs(np.asarray(ours) - answers[name]).max() / np.abs(answers[name]).max())

    padded = logits(params, decoder.embed(params, tokens))
    prompted = prompted_logits(prompt, params, tokens)
    gradient = jax.jit(jax.grad(loss))(jnp.asarray(prompt), params, tokens)
    rows = range(len(LENGTHS))
    alone = [logits(params, decoder.embed(params, tokens[i : i + 1, :length]))[0] for i, length in enumerate(LENGTHS)]
    return {
        "case": case,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "load_seconds": loaded,
        "alone": max(error(alone[i], f"logits_{i}") for i in rows),
        "padded": max(error(padded[i, : LENGTHS[i]], f"padded_{i}") for i in rows),
        "prompted": max(error(prompted[i, : PROMPT_ROWS + LENGTHS[i]], f"prompted_{i}") for i in rows),
        "gradient": error(gradient, "gradient"),
        "gradient_of_torch_moved": error(answers["kinks"], "gradient"),
    }


def report(row: dict[str, Any]) -> str:
    return (
        f"{row['case']}: {row['parameters']:,} parameters, loaded in {row['load_seconds']:.1f} s; largest relative "
        f"error: rows alone {row['alone']:.1e}, padded batch {row['padded']:.1e}, after a prompt "
        f"{row['prompted']:.1e}, prompt gradient {row['gradient']:.1e} (torch's own, the prompt moved by 1e-6: "
        f"{row['gradient_of_torch_moved']:.1e})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=list(CASES), help="one of the cases; all by default")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--scratch", type=Path, help="where the weights are put for a while; a temporary folder")
    parser.add_argument("--phase", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phase:
        name, folder = arguments.phase
        (case,) = arguments.case
        print(
            json.dumps(answer_by_torch(case, Path(folder)) if name == "torch" else compare_with_jax(case, Path(folder)))
        )
        return
    rows = []
    for case in arguments.case or CASES:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            for phase in ("torch", "jax"):
                command = [sys.executable, "-m", "benchmarks.reference", f"--case={case}", "--phase", phase, folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(report(rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
