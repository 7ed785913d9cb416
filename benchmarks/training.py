"""Prompt tuning steps of ipt_jax against Hugging Face PEFT, on transformers' models with the same weights and batches.

    python -m benchmarks.training [--case=NAME …] [--json=FILE] [--rounds=5] [--growth=FIGURE] [--profile]

Needs torch, transformers and peft beside ipt_jax. Without --case: every case that the machine is for. Each row is the
median of whole steps, taken in turns (see `side_by_side`); peak memory is each process's own. Both sides run AdamW with
clipping on the prompt alone, float32 on a CPU, bfloat16 weights on a GPU, without dropout.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.side_by_side import MODELS, Measured, Round, Side, run_once, take_turns

LEARNING_RATE, STEPS, CLIP_NORM, BATCHES = 3e-3, 50, 1.0, 8


@dataclasses.dataclass(frozen=True)
class Case:
    """A step to be measured.

    Attributes:
      model: Hugging Face's config.
      gpu: whether it is for an NVIDIA GPU: bfloat16, and PEFT also under `torch.compile`.
      members: prompts in our population; PEFT trains them one after another, and so do we for comparison.
      tokens: of a row, all real; the last `targets` of them are learned.
      faster: our examples per second are to be at least so many times PEFT's.
      memory: our peak is to be at most this share of PEFT's.
    """

    model: dict[str, Any]
    gpu: bool = False
    members: int = 1
    batch: int = 8
    tokens: int = 256
    prompt_rows: int = 50
    targets: int = 64
    faster: float | None = None
    memory: float | None = None


_GPU = {name: Case(MODELS[name], gpu=True, faster=2.0) for name in ("gpt2-xl", "opt-1.3b", "bloom-1b1")}
CASES: dict[str, Case] = {
    "gpt2": Case(MODELS["gpt2"], faster=1.4, memory=0.6),
    "bloom": Case(MODELS["bloom"], faster=2.2, memory=0.5),
    "smollm2": Case(MODELS["smollm2"], faster=1.4),
    "population": Case(MODELS["gpt2"], members=5, faster=1.4),
    **_GPU,
    **{f"{name}-population": dataclasses.replace(case, members=5) for name, case in _GPU.items()},
}
# The first losses are compared on small models: the arithmetic is the same and fifty steps take seconds.
_SMALL = {"vocab_size": 1000, "hidden_size": 128, "num_attention_heads": 4}
CURVES: dict[str, Case] = {
    "curve-bloom": Case({"model_type": "bloom", "n_layer": 4, "n_head": 4, "vocab_size": 1000, "hidden_size": 128}),
    "curve-opt": Case(
        {"model_type": "opt", "num_hidden_layers": 4, "ffn_dim": 512, "word_embed_proj_dim": 128, "dropout": 0.0}
        | {"max_position_embeddings": 512}
        | _SMALL
    ),
}
CURVE_TOLERANCE = 1e-3


def ours(folder: Path, settings: dict[str, Any]) -> Round:
    """A side: one step of `Trainer` for all members. Each has its own copy of the same rows."""
    import jax
    import jax.numpy as jnp

    from benchmarks.profile import kernels
    from ipt_jax.batching import Batch
    from ipt_jax.soft_prompt import SoftPrompts
    from ipt_jax.training import Trainer

    case, members = Case(**settings["case"]), settings["members"]
    decoder, params = side_by_side.load_ours(folder, settings["dtype"], settings.get("attention", "xla"))
    batches, prompt = _inputs(case)
    prompts, prompt_params = SoftPrompts.create(
        np.stack([prompt] * members), reparameterisation="none", hidden=0, member_seeds=list(range(members))
    )
    trainer = Trainer(decoder, prompts, STEPS, warmup_steps=0, weight_decay=0.0, clip_norm=CLIP_NORM)
    state = trainer.init(prompt_params)
    rates = jnp.full((members,), LEARNING_RATE, jnp.float32)
    places = np.arange(case.tokens - case.targets - 1, case.tokens - 1, dtype=np.int32)
    step = 0

    def one_step() -> Any:
        nonlocal state, step
        if settings.get("profile") and step > 0:  # the first step compiles
            return kernels(again, most=16)
        return again()

    def again() -> float:
        nonlocal state, step
        tokens = np.stack([batches[step % BATCHES]] * members)
        targets = tokens[:, :, -case.targets :]
        batch = Batch(tokens, np.broadcast_to(places, targets.shape), targets, np.ones(targets.shape, np.float32))
        state, metrics = trainer.step(state, params, rates, batch)
        step += 1
        jax.block_until_ready(state)
        return float(metrics.loss[0])

    return one_step


def theirs(folder: Path, settings: dict[str, Any]) -> Round:
    """A side: one step of PEFT's prompt tuning, as its documentation trains: labels, loss, backward, AdamW."""
    import peft
    import torch

    case = Case(**settings["case"])
    batches, prompt = _inputs(case)
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=case.prompt_rows)
    model = peft.get_peft_model(side_by_side.load_theirs(folder, settings["dtype"]), config)
    table = model.prompt_encoder["default"].embedding.weight
    with torch.no_grad():
        table.copy_(torch.from_numpy(prompt))
    model.train()
    optimizer = torch.optim.AdamW([table], lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / STEPS, 0.0))
    loss_of = torch.compile(model) if settings.get("compile") else model
    step = 0

    def one_step() -> float:
        nonlocal step
        rows = torch.from_numpy(batches[step % BATCHES]).long().to(table.device)
        labels = rows.clone()
        labels[:, : -case.targets] = -100
        loss = loss_of(input_ids=rows, attention_mask=torch.ones_like(rows), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([table], CLIP_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        step += 1
        return loss.item()  # waits for the device

    return one_step


def _inputs(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Batches i32[BATCHES, B, T] of random words, and the prompt f32[P, E] that both sides start from."""
    random, width = np.random.default_rng(0), case.model.get("n_embd") or case.model["hidden_size"]
    tokens = random.integers(3, case.model["vocab_size"], (BATCHES, case.batch, case.tokens), np.int32)
    return tokens, random.normal(0, 0.02, (case.prompt_rows, width)).astype(np.float32)


def measure(name: str, case: Case, rounds: int) -> list[dict[str, Any]]:
    """A row for each comparison of the case."""
    settings = {"case": dataclasses.asdict(case), "dtype": "bfloat16" if case.gpu else "float32", "members": 1}
    peers = {"PEFT": Side("PEFT", "benchmarks.training:theirs", settings)}
    if case.gpu:
        compiled = settings | {"compile": True}
        peers["PEFT compiled"] = Side("PEFT compiled", "benchmarks.training:theirs", compiled)
        peers["ours, cudnn"] = Side("ours, cudnn", "benchmarks.training:ours", settings | {"attention": "cudnn"})
    if case.members > 1:
        peers["ours, solo"] = Side("ours, solo", "benchmarks.training:ours", settings)
    own = Side("ours", "benchmarks.training:ours", settings | {"members": case.members})
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        measured = take_turns([own, *peers.values()], Path(folder), rounds=rounds, warmup=2 if case.gpu else 1)
    rate = run_once("benchmarks.training:matrix_rate", Path(), settings) if case.gpu else None
    return [_row(name, case, measured["ours"], peer, measured[peer], rate) for peer in peers]


def _row(name: str, case: Case, own: Measured, peer: str, other: Measured, rate: float | None) -> dict[str, Any]:
    faster, memory = case.faster, case.memory
    if peer == "ours, cudnn":  # which attention is faster is a question, not a wish
        faster, memory = None, None
    elif peer == "PEFT compiled":
        faster, memory = 1.3, None
    elif peer == "ours, solo":
        faster, memory = 1.5 if case.gpu else 1.0, None
    row = {
        "case": name,
        "members": case.members,
        "peer": peer,
        "our_seconds": own.median,
        "their_seconds": case.members * other.median,  # they train the members one after another
        "our_rounds": own.seconds,
        "their_rounds": other.seconds,
        "our_peak_bytes": own.peak_bytes,
        "their_peak_bytes": other.peak_bytes,
        "ratio_wanted": faster,
        "memory_share_wanted": memory,
    }
    row["ratio"] = row["their_seconds"] / row["our_seconds"]
    row["memory_share"] = own.peak_bytes / other.peak_bytes
    row["met"] = (faster is None or row["ratio"] >= faster) and (memory is None or row["memory_share"] <= memory)
    if rate:
        row["flop"] = step_flop(case)
        row["share_of_matrix_rate"] = row["flop"] / own.median / rate
    return row


def step_flop(case: Case) -> float:
    """FLOP of a step that nobody could avoid: forward and the gradient of activations, weights being frozen.

    The output projection is counted for the targets, attention for what lies under the diagonal.
    """
    from ipt_jax.arithmetic import block_flop
    from ipt_jax.models.loading import HF_FAMILIES

    config = HF_FAMILIES[case.model["model_type"]].config_from_hf(case.model)
    rows, length = case.members * case.batch, case.tokens + case.prompt_rows
    head = 2.0 * config.embed_dim * config.vocab_size * case.targets
    attention = 2.0 * config.num_layers * config.num_heads * config.head_dim * length**2  # two products, a half of each
    return rows * (2 * length * block_flop(config) + 2 * head + 3 * attention)


def matrix_rate(folder: Path, settings: dict[str, Any]) -> Round:
    """A side that answers with FLOP per second of square products in the step's type."""
    del folder
    import time

    import jax
    import jax.numpy as jnp

    size, count = 8192, 20
    square = jnp.ones((size, size), settings["dtype"])
    multiply = jax.jit(jnp.matmul)
    jax.block_until_ready(multiply(square, square))

    def once() -> float:
        started = time.perf_counter()
        jax.block_until_ready([multiply(square, square) for _ in range(count)])
        return count * 2.0 * size**3 / (time.perf_counter() - started)

    return once


def profile(case: Case) -> list[dict[str, Any]]:
    """The kernels that a step of ours spends most time in."""
    settings = {"case": dataclasses.asdict(case), "dtype": "bfloat16" if case.gpu else "float32"}
    side = Side("ours", "benchmarks.training:ours", settings | {"members": case.members, "profile": True})
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        return take_turns([side], Path(folder), rounds=1)["ours"].answers[-1]


def compare_curves(name: str, case: Case) -> dict[str, Any]:
    """The largest difference between the first losses of both sides."""
    settings = {"case": dataclasses.asdict(case), "dtype": "float32", "members": 1}
    sides = [Side(side, f"benchmarks.training:{side}", settings) for side in ("ours", "theirs")]
    with tempfile.TemporaryDirectory() as folder:
        run_once("benchmarks.side_by_side:save_random_model", Path(folder), case.model)
        measured = take_turns(sides, Path(folder), rounds=STEPS, warmup=0)
    our_losses, their_losses = (measured[side].answers for side in ("ours", "theirs"))
    difference = float(np.abs(np.subtract(our_losses, their_losses)).max())
    return {
        "case": name,
        "our_losses": our_losses,
        "their_losses": their_losses,
        "largest_difference": difference,
        "met": difference <= CURVE_TOLERANCE,
    }


def report(rows: Sequence[dict[str, Any]]) -> str:
    columns = [
        "case",
        "against",
        "ours, s",
        "theirs, s",
        "ratio",
        "wanted",
        "ours, GB",
        "theirs, GB",
        "share",
        "wanted",
    ]

    def limit(value: float | None) -> str:
        return "" if value is None else f"{value:g}"

    return side_by_side.table(
        columns,
        [
            [
                row["case"],
                f"{row['members']} × {row['peer']}" if row["members"] > 1 else row["peer"],
                f"{row['our_seconds']:.3f}",
                f"{row['their_seconds']:.3f}",
                f"{row['ratio']:.2f}",
                limit(row["ratio_wanted"]),
                f"{row['our_peak_bytes'] / 1e9:.2f}",
                f"{row['their_peak_bytes'] / 1e9:.2f}",
                f"{row['memory_share']:.0%}",
                limit(row["memory_share_wanted"]),
            ]
            for row in rows
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=[*CASES, *CURVES], help="one of the cases; may be repeated")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps of each side")
    parser.add_argument("--profile", action="store_true", help="instead: where the time of our step goes")
    parser.add_argument("--growth", type=Path, help="measure how our step grows instead, and draw it into this file")
    arguments = parser.parse_args()
    machine = side_by_side.machine()
    print(side_by_side.describe(machine), flush=True)
    answer: dict[str, Any] = {"machine": machine}
    if arguments.growth:
        from benchmarks.training_growth import growth

        answer["growth"] = growth(arguments.growth)
    else:
        on_gpu = machine["backend"] == "gpu"
        wanted = arguments.case or [*(name for name, case in CASES.items() if case.gpu == on_gpu), *CURVES]
        answer |= {"steps": [], "curves": []}
        for name in wanted:
            if name in CURVES:
                answer["curves"].append(curve := compare_curves(name, CURVES[name]))
                print(
                    f"{name}: the first {STEPS} losses differ by at most {curve['largest_difference']:.1e}", flush=True
                )
            elif CASES[name].gpu and not on_gpu:
                print(f"{name}: needs an NVIDIA GPU that jax finds; left out", flush=True)
            elif arguments.profile:
                answer.setdefault("profiles", {})[name] = profile(CASES[name])
                print(name, *answer["profiles"][name], sep="\n  ", flush=True)
            else:
                answer["steps"] += measure(name, CASES[name], arguments.rounds)
                print(report(answer["steps"]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
