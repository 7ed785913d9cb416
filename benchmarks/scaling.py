"""How cost grows: large models on several devices, and the whole study on one, eight and sixty-four.

    python -m benchmarks.scaling models [--into=docs/scaling.md]
    python -m benchmarks.scaling study --data_dir=DIR [--tasks=dart,mtop,…] [--experiments=table1,…] [--into=FILE]

`models`: shapes of Llama 2 with 7, 13 and 70 billion parameters, every method of the paper's main table on the
synthetic sample. `study`: configs of `paper/`, all by default, each run once, with the paper's models as shapes. Both
count tokens with SmolLM2's tokenizer. `--into` puts the answer into a document: `benchmarks.documents`.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import documents, jobs, shapes
from benchmarks.side_by_side import table
from ipt_jax.configs import common
from ipt_jax.configs.paper import base
from ipt_jax.cost.hardware import Device
from ipt_jax.cost.spread import Split, parse
from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.experiment.run import Run
from ipt_jax.plan import forecast as forecasting
from ipt_jax.plan import plan, slice_table
from ipt_jax.plan.forecast import Forecast, parameters

EXPERIMENTS = ("table1", "similarity", "transfer", "demonstrations", "prompt_length")
MODELS = ("bloom-1b1", "opt-1.3b", "gpt2-xl")
# Dollars per hour of one device on demand. H200: the middle of what specialised clouds take (3.50 to 4.50; hyperscalers
# 4.50 to 7.00) by mercatus-ai.com/blog/cloud-gpu-pricing, May 2026. v5e: cloud.google.com/tpu/pricing, US regions.
PRICES = {"NVIDIA H200 SXM": 4.00, "TPU v5e chip": 1.20}
# Groups that populations are shared out to, in the table of growth.
GROWTH = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# Devices of a group, and what is done on such groups.
Works = tuple[int, list[jobs.Job]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("models", "study"))
    parser.add_argument("--data_dir", default="data", help="holds a folder of released files for each task")
    parser.add_argument("--tasks", default="totto,dart,spider,mtop,logic2text")
    parser.add_argument("--experiments", default=",".join(EXPERIMENTS), help="configs of paper/")
    parser.add_argument("--sample", type=int, default=100, help="examples of a split that are laid out")
    parser.add_argument("--slices", default="1 x NVIDIA H200 SXM, 8 x NVIDIA H200 SXM, 64 x TPU v5e chip")
    parser.add_argument("--price", action="append", default=[], help="'DEVICE=dollars per hour', over the default")
    parser.add_argument("--into", type=Path, help="a file whose block of this part is replaced")
    flags = parser.parse_args()
    prices = PRICES | {name: float(price) for name, price in (each.rsplit("=", 1) for each in flags.price)}
    text = models(flags.slices, flags.sample) if flags.part == "models" else study(flags, prices)
    documents.show(text, flags.part, flags.into)


def planned(runs: Sequence[Run], config: Any, sample: int) -> list[tuple[Sequence[Run], Forecast]]:
    """The populations and what each takes, of language models that are shapes."""
    preparer_of = plan.preparers(config, lambda model: shapes.outline(model.source))
    with tempfile.TemporaryDirectory() as empty:  # a work folder in which nothing is done yet
        return [
            (group, forecasting.forecast(preparer_of(group[0].settings), group, Path(empty), sample))
            for group in populations(runs)
        ]


def models(slices: str, sample: int) -> str:
    """A table for each of the large models: bytes, arithmetic, exchanges and hours."""
    blocks = []
    for name in shapes.LLAMA_2:
        config = base.get_config()
        config.tasks, config.model.source, config.model.dtype = "", name, "bfloat16"
        config.models, config.data_dir = "", ""
        config.runs = common.paper_methods(base.PROMPT_TOKENS, base.SEEDS)
        found = [forecast for _, forecast in planned(resolve(config), config, sample)]
        content = slice_table.table(found, parse(slices))
        heading = f"{name}, {parameters(found[0].lm) / 1e9:.2f} billion parameters:"
        blocks.append(f"{heading}\n\n{table(content.header, content.rows)}")
    return "\n\n".join(blocks)


def study(flags: Any, prices: dict[str, float]) -> str:
    """What there is to do, and hours and dollars of it: devices as one mesh, or each population on its own group."""
    found = planned(*_study_runs(flags), flags.sample)
    sets = parse(flags.slices)
    works = {device: _jobs(found, device) for _, device in sets}
    return "\n\n".join(
        [
            f"Experiments: {flags.experiments}; tasks: {flags.tasks}.\n"
            f"{sum(len(each) for each, _ in found):,} runs in {len(found):,} populations.",
            _work(found),
            table(
                ["Devices", "As", "Training, h", "Evaluation, h", "Elapsed, h", "Device hours", "$ an hour", "$"],
                [row for count, device in sets for row in _ways(found, count, device, works[device], prices)],
            ),
            "Populations as jobs, longest first, by the number of devices:",
            table(
                ["Devices", *(f"{device.name}: {what}" for device in works for what in ("h", "of ideal"))],
                [[str(count), *(cell for own in works.values() for cell in _grown(*own, count))] for count in GROWTH],
            ),
        ]
    )


def _study_runs(flags: Any) -> tuple[list[Run], Any]:
    """The runs of the experiments, each once although several of them have it, and a config of them."""
    runs: dict[str, Run] = {}
    for name in flags.experiments.split(","):
        config = importlib.import_module(f"ipt_jax.configs.paper.{name}").get_config()
        config.tasks, config.data_dir, config.models = flags.tasks, flags.data_dir, ",".join(MODELS)
        config.model.dtype = "bfloat16"
        runs |= {run.id: run for run in resolve(config)}
    return list(runs.values()), config


def _work(found: Sequence[tuple[Sequence[Run], Forecast]]) -> str:
    """Runs and arithmetic by language model."""
    rows = []
    for name in dict.fromkeys(forecast.lm.name for _, forecast in found):
        own = [(group, forecast) for group, forecast in found if forecast.lm.name == name]
        trained = sum(forecast.untrained for _, forecast in own)
        totals = (sum(getattr(forecast, each) for _, forecast in own) for each in ("train", "prefill", "decode"))
        cells = (f"{flop / 1e18:,.1f}" for flop in totals)
        rows.append([name, str(sum(len(group) for group, _ in own)), str(len(own)), str(trained), *cells])
    header = ["Language model", "Runs", "Populations", "Prompts trained"]
    return table([*header, *(f"{part}, EFLOP" for part in ("Training", "Prefill", "Decoding"))], rows)


def _ways(found: Any, count: int, device: Device, works: Works, prices: dict[str, float]) -> list[list[str]]:
    """A row for one mesh over all devices, which does the populations in turn; one for populations as jobs."""
    ways = [("one mesh", *_as_mesh(found, count, device))]
    if count > 1:
        ways.append(("jobs", *_as_jobs(found, count, device, *works)))
    rows = []
    for name, (training, evaluation), elapsed in ways:
        price = prices.get(device.name)
        hours = (training / 3600, evaluation / 3600, elapsed / 3600, count * elapsed / 3600)
        money = ("–", "–") if price is None else (f"{count * price:,.2f}", f"{count * price * elapsed / 3600:,.0f}")
        rows.append([Split(device, count).name, name, *(f"{each:,.1f}" for each in hours), *money])
    return rows


def _as_mesh(found: Any, count: int, device: Device) -> tuple[tuple[float, float], float]:
    """Seconds of training and of evaluation, and of both. Every language model has the split that suits it best."""
    training = evaluation = 0.0
    for name in dict.fromkeys(forecast.lm.name for _, forecast in found):
        own = [forecast for _, forecast in found if forecast.lm.name == name]
        split = slice_table.fastest(own, count, device)
        if split is None:
            raise InputError(f"--slices: {name} does not fit {Split(device, count).name}")
        seconds = [each.seconds(split) for each in own]
        training += sum(each[0] for each in seconds)
        evaluation += sum(each[1] for each in seconds)
    return (training, evaluation), training + evaluation


def _as_jobs(
    found: Any, count: int, device: Device, size: int, works: Sequence[jobs.Job]
) -> tuple[tuple[float, float], float]:
    """Device seconds of training and of evaluation divided by the number of devices, and seconds until all is done."""
    seconds = [_on_group(forecast, size, device) for _, forecast in found]
    training, evaluation = (sum(column) / (count // size) for column in zip(*seconds, strict=True))
    return (training, evaluation), jobs.finish(works, count // size)


def _grown(size: int, works: Sequence[jobs.Job], count: int) -> list[str]:
    """Hours on so many devices, and how near they are to all work shared out evenly."""
    if count < size:
        return ["–", "–"]
    elapsed, groups = jobs.finish(works, count // size), count // size
    ideal = sum(job.seconds for job in works) / groups
    return [f"{elapsed / 3600:,.1f}", f"{ideal / elapsed:.0%}"]


def _jobs(found: Any, device: Device) -> Works:
    """Devices of a group, as few as every population fits, and the populations as jobs on such groups."""
    size = next(n for n in (1, 2, 4, 8) if all(slice_table.fastest([each], n, device) for _, each in found))
    place = {run.id: str(index) for index, (group, _) in enumerate(found) for run in group}
    works = []
    for index, (group, forecast) in enumerate(found):
        sources = frozenset(place[run.source.id] for run in group if run.source is not None)
        works.append(jobs.Job(str(index), sum(_on_group(forecast, size, device)), sources))
    return size, works


def _on_group(forecast: Forecast, size: int, device: Device) -> tuple[float, float]:
    return forecast.seconds(slice_table.fastest([forecast], size, device))


if __name__ == "__main__":
    main()
