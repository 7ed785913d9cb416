"""What a task's evaluation shares with its training data: `python -m ipt_jax.tasks.overlap dart --data_dir=DIR`.

Three kinds, each counted in examples of the evaluated split:

- exact: some training example has the very same input;
- near: no exact one, but a training input whose set of words has a Jaccard similarity of at least 0.9 (a word is a
  run of letters, digits and `_` in lower case; 0.9 for sets of 19 and 20 words is one word more);
- group: the example's page, table or database occurs in training, where the task names such a thing.

Near duplicates are found exactly, not by sampling: two sets that are so similar share one of their rarest words
(prefix filtering; Chaudhuri et al. 2006, Bayardo et al. 2007), so an index of those few words gives the candidates.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from ipt_jax import cli
from ipt_jax.errors import InputError
from ipt_jax.tasks import get_task, parse_options
from ipt_jax.tasks.base import SPLITS, Example, Task
from ipt_jax.tasks.near_duplicates import THRESHOLD, near_duplicates
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import write_text

COMMAND_FLAGS = flags.FlagValues()
_SPLIT = flags.DEFINE_enum("split", "test", SPLITS, "the split that is evaluated", flag_values=COMMAND_FLAGS)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "the folder of the task's files", flag_values=COMMAND_FLAGS)
_OPTION = flags.DEFINE_multi_string(
    "option", [], "an option of the task as NAME=VALUE; may be repeated", flag_values=COMMAND_FLAGS
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", THRESHOLD, "the Jaccard similarity of near duplicates", 0.1, 1.0, flag_values=COMMAND_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "a file for the report with all pairs, as JSON", flag_values=COMMAND_FLAGS
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """An evaluated example and the training example that is most like it; similarity 1 and `exact` for one input."""

    id: str
    train_id: str
    similarity: float
    exact: bool
    same_target: bool


def overlap(task: Task, split: str, threshold: float = THRESHOLD) -> dict[str, Any]:
    """The report on a split: counts of examples and percents, and `pairs`, a row for each example with a twin.

    Raises:
      InputError: the split is train or empty, or a file is missing or malformed.
    """
    if split == "train":
        raise InputError("--split=train: the report compares a split with train; choose dev or test")
    train, evaluated = list(task.read("train")), list(task.read(split))
    if not train or not evaluated:
        raise InputError(f"task {task.name!r}: its {'train' if not train else split} split is empty")
    pairs = _pairs(train, evaluated, threshold)
    exact = [pair for pair in pairs if pair.exact]

    def share(count: int) -> dict[str, Any]:
        return {"examples": count, "percent": round(100 * count / len(evaluated), 2)}

    return {
        "task": task.name,
        "options": dict(task.options),
        "split": split,
        "examples": len(evaluated),
        "train_examples": len(train),
        "exact": share(len(exact)) | {"with_the_same_target": sum(pair.same_target for pair in exact)},
        "near": share(len(pairs) - len(exact)) | {"how": f"Jaccard similarity of word sets >= {threshold}, none exact"},
        "group": _group(task, train, evaluated, share),
        "pairs": [dataclasses.asdict(pair) for pair in pairs],
    }


def _pairs(train: Sequence[Example], evaluated: Sequence[Example], threshold: float) -> list[Pair]:
    inputs: dict[str, list[Example]] = {}
    for example in train:
        inputs.setdefault(example.input, []).append(example)
    texts, pairs = list(inputs), []
    twins = near_duplicates([example.input for example in evaluated], texts, threshold)
    for example, twin in zip(evaluated, twins, strict=True):
        exact = example.input in inputs
        if exact or twin is not None:
            place, similarity = (example.input, 1.0) if exact else (texts[twin[0]], twin[1])
            same = any(other.target in example.references for other in inputs[place])
            pairs.append(Pair(example.id, inputs[place][0].id, round(similarity, 4), exact, same))
    return pairs


def _group(task: Task, train: Sequence[Example], evaluated: Sequence[Example], share) -> dict[str, Any] | None:
    name = getattr(task, "groups", None)
    if name is None:
        return None
    seen = {json.dumps(example.details[name]) for example in train}
    values = [json.dumps(example.details[name]) for example in evaluated]
    shared = share(sum(value in seen for value in values))
    return {"name": name, "values": len(set(values)), "values_in_train": len(set(values) & seen)} | shared


def describe(report: dict[str, Any]) -> str:
    """The report for people, without the pairs."""
    exact, near, group = report["exact"], report["near"], report["group"]
    lines = [
        f"{report['task']}: {report['examples']:,} examples of {report['split']} "
        f"against {report['train_examples']:,} of train",
        f"  same input          {exact['examples']:>7,}  {exact['percent']:6.2f} %  "
        f"({exact['with_the_same_target']:,} with a same target too)",
        f"  near-duplicate      {near['examples']:>7,}  {near['percent']:6.2f} %  ({near['how']})",
    ]
    if group:
        lines.append(
            f"  same {group['name']:<14} {group['examples']:>7,}  {group['percent']:6.2f} %  "
            f"({group['values_in_train']:,} of {group['values']:,} values)"
        )
    else:
        lines.append("  page, table or database: the task names none")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    if len(argv) != 2:
        raise InputError("name one task, as in: python -m ipt_jax.tasks.overlap dart --data_dir=data/dart")
    task = get_task(argv[1], _DATA_DIR.value, **parse_options(argv[1], _OPTION.value))
    report = overlap(task, _SPLIT.value, _THRESHOLD.value)
    if _OUTPUT.value:
        output = Path(_OUTPUT.value)
        make_folder(output.parent)
        write_text(output, json.dumps(report, indent=2) + "\n")
    print(describe(report))


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, positional=True)
