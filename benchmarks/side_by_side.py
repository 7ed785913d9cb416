"""Programs side by side: each in a process of its own, taking turns so that all meet the same machine.

A side is a function `build(folder, settings)` that prepares everything and returns `round()`. The parent starts one
process per side, lets them do a round in turn, and keeps every time and each process's own peak memory. While one
works the others wait on a pipe. Sides share inputs and weights through files in `folder`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Round = Callable[[], Any]

# The published config.json of each model, as far as it decides the arithmetic. No dropout: both sides compute the same.
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "smollm2": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0,
        "tie_word_embeddings": True,
    },
    # Not a published one: the body of GPT-2 124M in BLOOM's architecture, with BLOOM's 250,880 words.
    "bloom": {"model_type": "bloom", "vocab_size": 250880, "hidden_size": 768, "n_layer": 12, "n_head": 12},
    "bloom-560m": {"model_type": "bloom", "vocab_size": 250880, "hidden_size": 1024, "n_layer": 24, "n_head": 16},
    "bloom-1b1": {"model_type": "bloom", "vocab_size": 250880, "hidden_size": 1536, "n_layer": 24, "n_head": 16},
    "opt-1.3b": {
        "model_type": "opt",
        "vocab_size": 50272,
        "hidden_size": 2048,
        "word_embed_proj_dim": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "ffn_dim": 8192,
        "max_position_embeddings": 2048,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "dropout": 0.0,
    },
}
MODELS["gpt2-xl"] = MODELS["gpt2"] | {"n_embd": 1600, "n_layer": 48, "n_head": 25}
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # sides share an accelerator
_PACKAGES = ("ipt_jax", "jax", "torch", "transformers", "peft")


@dataclasses.dataclass(frozen=True)
class Side:
    """One program of a comparison.

    Attributes:
      name: in the answer.
      build: `module:function`, called in the side's process with (folder, settings).
      settings: what JSON can carry.
      eager: whether it compiles nothing, so that its first round is as good as any.
      code: a folder with the packages that it runs, see `commits`; empty for those of this process.
      environment: variables that its process has besides.
    """

    name: str
    build: str
    settings: Mapping[str, Any]
    eager: bool = False
    code: str = ""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one side did.

    Attributes:
      seconds: of each round, in order.
      peak_bytes: the most memory that the process ever held (VmHWM), pages of mapped files included; on an
        accelerator the most device memory.
      answers: what each round returned.
      processor_seconds: of each round, in order, all threads of the process together: on a CPU that other programs
        share, this says more than the seconds do.
    """

    seconds: list[float]
    peak_bytes: int
    answers: list[Any]
    processor_seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def take_turns(sides: Sequence[Side], folder: Path, *, rounds: int, warmup: int = 1) -> dict[str, Measured]:
    """Runs `warmup` rounds that are not timed (they compile), then `rounds` that are; all sides once per round.

    Eager sides have no rounds of the first kind.

    Raises:
      RuntimeError: a side ended early; its own message is on the standard error.
    """
    workers = {side.name: _start(side, folder) for side in sides}
    eager = {side.name for side in sides if side.eager}
    try:
        for worker in workers.values():
            _reply(worker)
        replies: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
        for turn in range(-warmup, rounds):
            for name, worker in workers.items():
                if turn < 0 and name in eager:
                    continue
                worker.stdin.write("go\n")
                worker.stdin.flush()
                replies[name].append(_reply(worker))
    finally:
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()
    return {
        name: Measured(
            [reply["seconds"] for reply in all_of[-rounds:]],
            all_of[-1]["peak_bytes"],
            [reply["answer"] for reply in all_of],
            [reply["processor_seconds"] for reply in all_of[-rounds:]],
        )
        for name, all_of in replies.items()
    }


def run_once(
    build: str, folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Any:
    """One round of one side in a process of its own: its answer."""
    side = Side(build, build, settings, environment=environment or {})
    return take_turns([side], folder, rounds=1, warmup=0)[build].answers[0]


def _start(side: Side, folder: Path) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "benchmarks.side_by_side",
        side.build,
        str(folder),
        json.dumps(dict(side.settings)),
    ]
    code = {"PYTHONPATH": side.code} if side.code else {}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=side.code or None,
        env={**os.environ, **side.environment, **code},
    )


def _reply(worker: subprocess.Popen) -> dict[str, Any]:
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"a side ended early: {' '.join(map(str, worker.args))}")
    return json.loads(line)


def _work(build: str, folder: str, settings: str) -> None:
    """The side's process: a line on standard input asks for a round, a line of JSON answers."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the standard error
    module, function = build.split(":")
    one_round = getattr(importlib.import_module(module), function)(Path(folder), json.loads(settings))
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for _ in sys.stdin:
        started, begun = time.perf_counter(), time.process_time()
        answer = one_round()
        reply = {
            "seconds": time.perf_counter() - started,
            "processor_seconds": time.process_time() - begun,
            "peak_bytes": _peak_bytes(),
            "answer": answer,
        }
        print(json.dumps(reply), file=replies, flush=True)


def _peak_bytes() -> int:
    """Of this process, or of the accelerator that it used."""
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")
    if jax is not None and jax.default_backend() != "cpu":
        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(line.split()[1])


def machine() -> dict[str, Any]:
    """What the figures were measured on and with."""
    import jax

    (name,) = {line.split(":")[1].strip() for line in _cpu_info() if line.startswith("model name")} or {"unknown"}
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout
            continue
    return {
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def describe(machine: Mapping[str, Any]) -> str:
    """The machine in a line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['device']}; {machine['processor']}, {machine['cores']} cores; {versions}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads well in a terminal."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, rows)])


def save_random_model(folder: Path, settings: Mapping[str, Any]) -> Round:
    """A side that saves transformers' own random weights of `settings` as a Hugging Face folder, in torch."""
    import torch
    import transformers

    def once() -> int:
        transformers.utils.logging.disable_progress_bar()
        torch.manual_seed(0)
        fields = dict(settings)
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.save_pretrained(folder)
        return sum(parameter.numel() for parameter in model.parameters())

    return once


def load_theirs(folder: Path, dtype: str) -> Any:
    """The saved model in transformers, frozen, on the GPU if there is one."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")


def load_ours(folder: Path, dtype: str, attention: str = "xla") -> tuple[Any, Any]:
    """The saved model as `FrozenDecoder` and parameters; it has no tokenizer, so `models.loading.load` cannot."""
    import jax.numpy as jnp

    from ipt_jax.models.decoder import FrozenDecoder
    from ipt_jax.models.files.hf_folder import WeightsFolder, read_json
    from ipt_jax.models.loading import HF_FAMILIES
    from ipt_jax.models.weights import fill

    with contextlib.suppress(ModuleNotFoundError):  # the package as it was before it had this
        from ipt_jax.runtime.host_memory import return_what_compiling_frees

        return_what_compiling_frees()  # as `models.loading.load` does
    fields = read_json(folder / "config.json")
    family = HF_FAMILIES[fields["model_type"]]
    config = family.config_from_hf(fields)
    decoder, shapes = FrozenDecoder.abstract(config, jnp.dtype(dtype), attention)
    source = WeightsFolder(folder, family.HF_PREFIX)
    return decoder, fill(decoder, shapes, family.hf_weights(config), family.hf_ignored(config), source)


if __name__ == "__main__":
    _work(*sys.argv[1:])
