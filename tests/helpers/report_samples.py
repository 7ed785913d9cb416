"""Invented working directories for the tests of the report; as a command it writes a demo report to look at.

python tests/report_samples.py FOLDER [search]
"""

import math
import random
import sys
from pathlib import Path

from judged import examples_of, single

from ipt_jax.metrics.bleu import BLEU_DART_OFFICIAL, BLEU_UNIFIEDSKG, SENTENCE_BLEU
from ipt_jax.workdir.json_files import append_rows, write_json
from ipt_jax.workdir.names import method_label, run_id
from ipt_jax.workdir.run_folder import RunFolder

_PEOPLE = ("Ada Brenner", "Tomas Okafor", "Lidia Varga", "Henrik Sato", "Mina Delacroix", "Oskar Mbeki", "Ruth Almeida")
_PLACES = ("Norhaven", "Port Calder", "Velmora", "Östring", "San Telmo", "Ilmen Bay")
_RELATIONS = (
    ("place of birth", "{0} was born in {1}.", _PLACES),
    ("occupation", "{0} works as {1}.", ("an architect", "a cellist", "a marine biologist", "a judge")),
    ("employer", "{0} is employed by {1}.", ("Halden Works", "the Velmora Observatory", "Calder & Sons")),
)

_LENGTHS = (1, 3, 5, 10, 25, 50, 100, 150)

# prompt tokens, demonstrations, retriever, seed, share of words the prediction gets right
METHODS = (
    (0, 0, None, 0, 0.15),
    (0, 1, "random", 0, 0.35),
    (0, 1, "dense", 0, 0.6),
    (0, 3, "dense", 0, 0.68),
    (20, 0, None, 0, 0.55),
    (20, 0, None, 1, 0.62),
    (20, 1, "dense", 0, 0.75),
    (20, 1, "dense", 1, 0.78),
)


# 50 runs of one task, as a study has them.
STUDY = (
    *((0, 0, None, 0, 0.15), (0, 1, "random", 0, 0.35)),
    *((rows, k, "dense" if k else None, seed, 0.5 + 0.1 * k) for rows in _LENGTHS for k in (0, 1) for seed in range(3)),
)


def make_workdir(
    workdir: Path, *, examples: int = 100, methods=METHODS, title: str = "Synthetic sample", task: str = "sample"
) -> Path:
    """Writes config.json and a finished run per method. Everything is drawn from fixed seeds.

    Called again with another `task` and title, it adds another setting.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "config.json", {"name": "quickstart", "task": {"name": "sample"}})
    data = [_example(random.Random(number), number) for number in range(examples)]
    for prompt_tokens, demonstrations, retriever, seed, quality in methods:
        config = {
            "task": {"name": task},
            "prompt": {"tokens": prompt_tokens},
            "retrieval": {"name": retriever, "demonstrations": demonstrations},
            "layout": {"template": {"query": "Input: {input}\nOutput:", "target": " {output}\n", "separator": "\n"}},
            "training": {"steps": 150 if prompt_tokens else 0},
            "seed": seed,
        }
        folder = RunFolder(workdir, run_id(config))
        folder.path.mkdir(parents=True)
        write_json(folder.run_json, config)
        rng = random.Random(folder.run_id)
        rows = [_prediction(example, demonstrations, retriever, quality, rng) for example in data]
        append_rows(folder.predictions, rows)
        if prompt_tokens:
            append_rows(folder.metrics, _metrics(demonstrations, seed, rng))
        folder.finish(_result(folder.run_id, config, title, rows, rng))
    return workdir


FAILED, UNFINISHED = "failed", "unfinished"

# Learning rate → for each seed the best dev loss, or what became of the run instead.
LOSSES = {
    1e-3: {0: 1.43, 1: 1.45},
    3e-3: {0: 1.31, 1: 1.35},
    1e-2: {0: 1.26, 1: 1.27},
    3e-2: {0: 1.30, 1: 1.24},
    1e-1: {0: 1.48, 1: FAILED},
}


def add_search(
    workdir: Path,
    losses: dict[float, dict[int, float | str | None]],
    *,
    demonstrations: int = 0,
    examples: int = 40,
    title: str = "Synthetic sample",
) -> Path:
    """Adds a run for each learning rate and seed, trained as one population. The scores rise with the rate."""
    retriever = "dense" if demonstrations else None
    data = [_example(random.Random(number), number) for number in range(examples)]
    members, failed = [], {}
    for place, (rate, seeds) in enumerate(losses.items()):
        for seed, loss in seeds.items():
            config = {
                "task": {"name": "sample"},
                "prompt": {"tokens": 20},
                "retrieval": {"name": retriever, "demonstrations": demonstrations},
                "training": {"steps": 150, "learning_rate": rate},
                "seed": seed,
            }
            folder = RunFolder(workdir, run_id(config))
            folder.path.mkdir(parents=True)
            method = method_label(20, demonstrations, retriever, 150, None)
            write_json(folder.run_json, {"name": f"{method} {rate}", "method": method, **config})
            rng = random.Random(folder.run_id)
            metrics = _metrics(demonstrations, seed, rng)
            if loss != UNFINISHED:
                members.append(folder.run_id)
            append_rows(folder.metrics, metrics[:36] if isinstance(loss, str) else metrics)
            if loss == FAILED:
                failed[folder.run_id] = 37
            if isinstance(loss, str):
                continue
            rows = [_prediction(each, demonstrations, retriever, 0.4 + 0.1 * place, rng) for each in data]
            append_rows(folder.predictions, rows)
            result = _result(folder.run_id, config, title, rows, rng)
            result["training"] |= {"learning_rate": rate, "best_dev_loss": loss, "best_step": 124 - 25 * seed}
            folder.finish(result)
    if failed:
        home = workdir / "populations" / run_id({"members": members})
        home.mkdir(parents=True)
        write_json(home / "population.json", {"runs": members, "failed": failed})
    return workdir


def _example(rng: random.Random, number: int) -> dict:
    person = rng.choice(_PEOPLE)
    chosen = rng.sample(_RELATIONS, rng.randint(1, 3))
    values = [rng.choice(values) for _, _, values in chosen]
    return {
        "id": f"test:{number}",
        "input": " | ".join(f"{person} : {name} : {value}" for (name, _, _), value in zip(chosen, values, strict=True)),
        "references": [
            " ".join(text.format(person, value) for (_, text, _), value in zip(chosen, values, strict=True)),
            f"{person}: " + ", ".join(values) + ".",
        ],
    }


def _prediction(example: dict, demonstrations: int, retriever: str | None, quality: float, rng: random.Random) -> dict:
    words = example["references"][0].split()
    prediction = " ".join(word if rng.random() < quality else rng.choice(words) for word in words)
    if quality < 0.2:
        prediction = rng.choice(["", example["input"], prediction])
    # What is retrieved depends on the example alone, what is drawn at random on the run too.
    draw = rng if retriever == "random" else random.Random(example["id"])
    numbers = [draw.randrange(3_000) for _ in range(demonstrations)]
    similarities = [None if retriever == "random" else round(0.9 - draw.random() / 3, 3) for _ in numbers]
    shown = [_example(random.Random(number), number) for number in numbers]
    before = "".join(f"Input: {each['input']}\nOutput: {each['references'][0]}\n\n" for each in shown)
    return {
        "id": example["id"],
        "input": f"{before}Input: {example['input']}\nOutput:",
        "demonstrations": [
            {"id": each["id"].replace("test", "train"), "similarity": similarity}
            for each, similarity in zip(shown, similarities, strict=True)
        ],
        "prediction": prediction,
        "references": example["references"],
        "score": single(SENTENCE_BLEU, prediction, example["references"]),
        "stop": rng.choice(["eos", "stop_text", "stop_text", "length"]),
        "log_probability": -rng.random() * 20,
    }


def _metrics(demonstrations: int, seed: int, rng: random.Random) -> list[dict]:
    rows = []
    for step in range(150):
        loss = 1.2 + 1.5 * math.exp(-step / 30) - 0.25 * demonstrations + 0.03 * seed
        rows.append(
            {
                "step": step,
                "loss": loss + rng.gauss(0, 0.12),
                "learning_rate": 5e-3,
                "gradient_norm": 1.0,
                "examples_per_second": 6.5,
            }
        )
        if step % 25 == 24:
            rows.append({"step": step, "dev_loss": loss + 0.1})
    return rows


def _result(run: str, config: dict, title: str, rows: list[dict], rng: random.Random) -> dict:
    prompt_tokens, retrieval, seed = config["prompt"]["tokens"], config["retrieval"], config["seed"]
    steps = config["training"]["steps"]
    texts = [row["prediction"] for row in rows], [row["references"] for row in rows]
    metrics = BLEU_UNIFIEDSKG, BLEU_DART_OFFICIAL
    scores = {metric.name: metric.of_texts(*texts) for metric in metrics}
    signatures = {metric.name: metric.signature_of(examples_of(texts[1])) for metric in metrics}
    training = {"steps": steps, "batch_size": 8, "learning_rate": 5e-3, "best_step": 124, "best_dev_loss": 1.3217}
    return {
        "run": run,
        "task": config["task"]["name"],
        "task_title": title,
        "split": "test",
        "model": "SmolLM2-135M-Instruct (dequantised from Q4_1)",
        "method": method_label(prompt_tokens, retrieval["demonstrations"], retrieval["name"], steps, None),
        "prompt_tokens": prompt_tokens,
        "demonstrations": retrieval["demonstrations"],
        "retriever": retrieval["name"],
        "seed": seed,
        "metric": "bleu_unifiedskg",
        "score": scores["bleu_unifiedskg"],
        "scores": {**scores, "signatures": signatures},
        "examples": len(rows),
        "truncated": 0,
        "demonstrations_dropped": 2 if retrieval["demonstrations"] == 3 else 0,
        "duplicates_excluded": 17 if retrieval["demonstrations"] else 0,
        "decoding": {"num_beams": 1, "max_new_tokens": 48},
        "training": training if steps else None,
        "dtype": "float32",
        "attention": "xla",
        "devices": ["cpu:0"],
        "compilations": 3 + 2 * bool(steps),
        "seconds": {
            "retrieve": rng.random() * 4 if retrieval["name"] == "dense" else 0.0,
            "train": 100 + rng.random() * 40 if steps else 0.0,
            "evaluate": 20 + rng.random() * 9,
        },
        "config_hash": run,
        "data_hash": "5f1f7a0c9be3",
        "versions": {"ipt_jax": "0.1.0", "jax": "0.10.2", "flax": "0.12.1"},
    }


if __name__ == "__main__":
    from ipt_jax.report import render

    made = make_workdir(Path(sys.argv[1]), methods=METHODS[:4] if "search" in sys.argv else METHODS)
    if "search" in sys.argv:
        add_search(made, LOSSES, examples=100)
        add_search(made, {rate: {0: 1.3 - 4 * rate} for rate in LOSSES}, demonstrations=1, examples=100)
    print(render([made]))
