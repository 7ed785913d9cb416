"""The cases of the training benchmark: models, rows, goals, and which rows each side has in a batch."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.make_lengths import FILE, TASKS
from benchmarks.side_by_side import MODELS

RANK = 8  # of LoRA
EQUAL_BATCHES = 8  # of a case whose rows are all alike; each round takes the next ones
# Steps of a round. Training takes step after step. After another side's turn the first one finds its memory gone: where
# the system gives freed pages back to a host, SmolLM2's step of 3.6 s took 4.0 to 5.7.
_STEPS = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """A step to be measured, or a few: rows of true lengths differ, and so do their batches.

    Attributes:
      model: Hugging Face's config.
      gpu: whether it is for an NVIDIA GPU, in bfloat16.
      members: prompts in our population; the others train them one after another, and so do we for comparison.
      task: whose true lengths the rows have; empty for rows of `tokens`, the last `targets` of them learned.
      shown: whether a demonstration stands before each input (IPT) or none does (PT).
      adapter: what is trained: `prompt`, `prefix` of as many positions, or `lora` of rank 8 on queries and values.
      steps: in a round.
      faster: peer → how many times as fast as it we are to be; see `training.PEERS` for their names.
      memory: peer → which share of its peak ours may be at most.
      rate_share: the share of the matrix rate that the needed arithmetic is to be done at.
      real_share: the share of the positions of our batches that are to be real tokens.
    """

    model: dict[str, Any]
    gpu: bool = False
    members: int = 1
    batch: int = 8
    task: str = ""
    shown: bool = False
    adapter: str = "prompt"
    tokens: int = 256
    targets: int = 64
    prompt_rows: int = 50
    steps: int = 1
    faster: Mapping[str, float] = dataclasses.field(default_factory=dict)
    memory: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rate_share: float | None = None
    real_share: float | None = None


# The peaks of one program differ by a percent from run to run.
_SAME_MEMORY = {"before": 1.02}
_LOOP = {"loop": 1.3, "loop compiled": 1.3}


def _real(model: str, task: str, shown: bool, prompt_rows: int) -> Case:
    before = 1.25 if prompt_rows == 25 else 2.0 if (task, shown) == ("mtop", False) else None
    return Case(
        MODELS[model],
        task=task,
        shown=shown,
        prompt_rows=prompt_rows,
        steps=6,
        faster={"PEFT": 2.0, "PEFT compiled": 2.0, **_LOOP, **({"before": before} if before else {})},
        memory=_SAME_MEMORY,
        real_share=0.88,
    )


def _adapted(adapter: str, shown: bool, members: int = 1) -> Case:
    return Case(
        MODELS["smollm2"],
        members=members,
        task="mtop",
        shown=shown,
        adapter=adapter,
        prompt_rows=0 if adapter == "lora" else 25,
        steps=4 if members == 1 else 2,
        faster={"PEFT": 1.5},
        memory={"PEFT": 0.6},
    )


_GPU = {
    name: Case(MODELS[name], gpu=True, faster={"PEFT": 2.0, "PEFT compiled": 1.3, "ours, solo": 1.5})
    for name in ("gpt2-xl", "opt-1.3b", "bloom-1b1")
}
CASES: dict[str, Case] = {
    "gpt2": Case(
        MODELS["gpt2"],
        steps=_STEPS,
        faster={"PEFT": 1.7, "PEFT compiled": 1.7, "before": 1.15, **_LOOP},
        memory={"PEFT": 0.6, **_SAME_MEMORY},
        rate_share=0.85,
    ),
    "bloom": Case(MODELS["bloom"], steps=_STEPS, faster={"PEFT": 2.2, **_LOOP}, memory={"PEFT": 0.5, **_SAME_MEMORY}),
    "smollm2": Case(
        MODELS["smollm2"],
        steps=_STEPS,
        faster={"PEFT": 1.4, "before": 1.35, **_LOOP},
        memory=_SAME_MEMORY,
        rate_share=0.80,
    ),
    "population": Case(
        MODELS["gpt2"], members=5, faster={"PEFT": 1.7, "ours, solo": 1.0, **_LOOP}, memory=_SAME_MEMORY
    ),
    **{
        f"{model}-{task}-{'ipt' if shown else 'pt'}-{prompt_rows}": _real(model, task, shown, prompt_rows)
        for model in ("gpt2", "smollm2")
        for task in TASKS
        for shown in (False, True)
        for prompt_rows in (25, 150)
    },
    "smollm2-mtop-prefix": _adapted("prefix", shown=False),
    "smollm2-mtop-prefix-shown": _adapted("prefix", shown=True),
    "smollm2-mtop-lora": _adapted("lora", shown=False),
    "smollm2-mtop-lora-shown": _adapted("lora", shown=True),
    "smollm2-mtop-lora-population": _adapted("lora", shown=False, members=5),
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
    "curve-gpt2": Case(MODELS["gpt2"] | {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 1000}),
    "curve-llama": Case(
        MODELS["smollm2"] | {"num_hidden_layers": 4, "num_key_value_heads": 2, "intermediate_size": 384} | _SMALL
    ),
}
# GPT-2's and BLOOM's query, key and value are one map there, whose LoRA has one matrix A; ours are three.
CURVES |= {
    f"{name}-{adapter}": dataclasses.replace(case, adapter=adapter, prompt_rows=0 if adapter == "lora" else 10)
    for adapter, names in {
        "prefix": ("curve-bloom", "curve-opt", "curve-gpt2", "curve-llama"),
        "lora": ("curve-opt", "curve-llama"),
    }.items()
    for name, case in ((name, CURVES[name]) for name in names)
}


@functools.cache
def real_lengths(task: str, shown: bool) -> np.ndarray:
    """i64[rows, 2]: tokens before the target, and of it."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == task]
    return np.array([(int(row["shown_source" if shown else "source"]), int(row["target"])) for row in rows])


def lengths_of(case: Case) -> np.ndarray:
    """i64[rows, 2], as `real_lengths`."""
    if case.task:
        return real_lengths(case.task, case.shown)
    return np.tile((case.tokens - case.targets, case.targets), (EQUAL_BATCHES * case.batch, 1))


def tokens_of(case: Case) -> list[np.ndarray]:
    """Random tokens i32 for each row, source and target."""
    totals = lengths_of(case).sum(axis=1)
    drawn = np.random.default_rng(0).integers(3, case.model["vocab_size"], totals.sum(), np.int32)
    return np.split(drawn, np.cumsum(totals)[:-1])


def arrays_of(case: Case, config: Any) -> dict[str, np.ndarray]:
    """The prefix or the LoRA that all sides start from, as `TrainedAdapter.arrays` has it, its scale 1."""
    draw, layers = np.random.default_rng(1), config.num_layers
    if case.adapter == "prefix":
        shape = layers, case.prompt_rows, config.num_kv_heads, config.head_dim
        return {name: draw.normal(0, 0.1, shape).astype(np.float32) for name in ("keys", "values")}
    inner, kv, wide = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim, config.hidden_dim
    found = {}
    for place, out in (("query", inner), ("value", kv)):
        found[f"{place}.down"] = draw.normal(0, wide**-0.5, (layers, wide, RANK)).astype(np.float32)
        found[f"{place}.up"] = np.zeros((layers, RANK, out), np.float32)
    return found


def start_of(case: Case) -> np.ndarray:
    """The prompt f32[P, E] that all sides start from."""
    width = case.model.get("n_embd") or case.model["hidden_size"]
    return np.random.default_rng(1).normal(0, 0.02, (case.prompt_rows, width)).astype(np.float32)


def sorted_batches(case: Case) -> list[np.ndarray]:
    """The rows of each batch of an epoch, rows of similar length together: what the peers train on."""
    order = np.argsort(lengths_of(case).sum(axis=1), kind="stable")
    return list(order[: len(order) // case.batch * case.batch].reshape(-1, case.batch))


def cross_section(case: Case, batches: list[np.ndarray]) -> list[np.ndarray]:
    """The batches that rounds take in turn: of an epoch's, from short to long, as many as a round has steps.

    They are those in the middle of equal parts, so that a round is like the epoch. Rows that are all alike need no
    choice: all batches.
    """
    if not case.task:
        return batches
    totals = lengths_of(case).sum(axis=1)
    ranked = sorted(batches, key=lambda ids: totals[ids].sum())
    return [ranked[int((i + 0.5) * len(ranked) / case.steps)] for i in range(case.steps)]
