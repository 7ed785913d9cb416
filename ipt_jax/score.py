"""Scores a file of predictions: `python -m ipt_jax.score --task=dart --predictions=FILE --data_dir=…`.

Prints one JSON object with every metric of the task; `--output` gets a row per example,
`{"id": …, "scores": {metric: value}}`. It needs no language model and no accelerator, and does not import jax.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from ipt_jax import cli
from ipt_jax.errors import InputError
from ipt_jax.tasks import get_task, parse_options
from ipt_jax.tasks.base import SPLITS, Example, Task, subset
from ipt_jax.tasks.reading import read_json_list, read_lines
from ipt_jax.tasks.scores import Scores, score
from ipt_jax.workdir import json_text
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import write_text

_NAMED_IDS = 3  # How many ids a message lists.

COMMAND_FLAGS = flags.FlagValues()
_TASK = flags.DEFINE_string("task", None, "the task's name, such as dart or sample", flag_values=COMMAND_FLAGS)
_PREDICTIONS = flags.DEFINE_string(
    "predictions",
    None,
    'JSON Lines of {"id", "prediction"}, other keys allowed, or text with one prediction per line in split order',
    flag_values=COMMAND_FLAGS,
)
_SPLIT = flags.DEFINE_enum("split", "test", SPLITS, "the split that was predicted", flag_values=COMMAND_FLAGS)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "the folder of the task's files", flag_values=COMMAND_FLAGS)
_LIMIT = flags.DEFINE_integer(
    "limit", None, "the config.limit that the split was predicted with", lower_bound=1, flag_values=COMMAND_FLAGS
)
_OPTION = flags.DEFINE_multi_string(
    "option", [], "an option of the task as NAME=VALUE; may be repeated", flag_values=COMMAND_FLAGS
)
_OUTPUT = flags.DEFINE_string("output", None, "a file for the scores of each example", flag_values=COMMAND_FLAGS)


def score_file(
    task: Task, split: str, predictions_path: Path, limit: int | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Scores a file of predictions against a whole split, or what a limit keeps of it.

    Returns:
      The summary, `{"task", "split", "examples", <metric>: 0 to 100, …, "signatures"}`, and the rows,
      `{"id", "scores": {<example metric>: 0 to 100}}` in split order.

    Raises:
      InputError: the file and the split do not fit each other, or one of them is malformed.
    """
    examples, scores = judge_file(task, split, predictions_path, limit)
    summary = {"task": task.name, "split": split, "examples": len(examples), **scores.to_dict()}
    rows = [{"id": example.id, "scores": own} for example, own in zip(examples, scores.examples, strict=True)]
    return summary, rows


def judge_file(
    task: Task, split: str, predictions_path: Path, limit: int | None = None
) -> tuple[list[Example], Scores]:
    """The examples of a split and the scores of a file of predictions, such as a run's predictions.jsonl.

    `rows` of the scores are what each example adds to each of them: what a bootstrap over examples draws from.

    Raises:
      InputError: as `score_file`.
    """
    examples = list(task.read(split))
    if not examples:
        raise InputError(f"split {split!r} of task {task.name!r} is empty: {task.files(split)[0]} has no example")
    if limit is not None:
        examples = [examples[i] for i in subset([example.id for example in examples], limit)]
    return examples, score(task, read_predictions(predictions_path, [example.id for example in examples]), examples)


def read_predictions(path: Path, ids: Sequence[str]) -> list[str]:
    """The predictions of a file in the order of `ids`, one for each.

    A file is JSON Lines if its name ends in `.jsonl` or its first line is a JSON object, a list of such objects if all
    of it is a JSON list; else it is text.

    Raises:
      InputError: a malformed line, another number of lines, missing, unknown or repeated ids.
    """
    lines = list(read_lines(path))
    if path.suffix == ".jsonl" or (lines and _is_a(dict, lines[0][1])):
        return _by_id(path, ((line, _parsed(path, line, text)) for line, text in lines), ids)
    if lines and lines[0][1].lstrip().startswith("[") and _is_a(list, "\n".join(text for _, text in lines)):
        return _by_id(path, read_json_list(path), ids)
    if len(lines) != len(ids):
        raise InputError(
            f"{path}: has {len(lines):,} lines, the split has {len(ids):,} examples; write one line for each, "
            'an empty one for an empty prediction, or JSON Lines of {"id", "prediction"}'
        )
    return [text for _, text in lines]


def _is_a(kind: type, text: str) -> bool:
    try:
        return isinstance(json_text.parse(text), kind)
    except ValueError:
        return False


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json_text.parse(line)
    except ValueError as error:
        raise InputError(f"{path}:{number}: {error}; correct or delete this line") from error


def _by_id(path: Path, rows: Iterable[tuple[int, Any]], ids: Sequence[str]) -> list[str]:
    """The predictions of numbered rows `{"id", "prediction"}`, in the order of `ids`."""
    known = set(ids)
    found: dict[str, tuple[int, str]] = {}
    unknown = []
    for number, row in rows:
        row_id, prediction = _checked(path, number, row)
        if row_id in found:
            raise InputError(f"{path}:{number}: id {row_id!r} is on line {found[row_id][0]} already; keep one of them")
        found[row_id] = (number, prediction)
        if row_id not in known:
            unknown.append(f"{row_id!r} (line {number})")
    if unknown:
        raise InputError(
            f"{path}: {len(unknown):,} ids are not in the split: {_some(unknown)}; its ids are like {ids[0]!r}; "
            "is it another split, or another version of the data?"
        )
    missing = [repr(row_id) for row_id in ids if row_id not in found]
    if missing:
        raise InputError(
            f"{path}: {len(missing):,} of the split's {len(ids):,} examples have no prediction: {_some(missing)}; "
            "a score needs all of them (predicted with a limit? give --limit)"
        )
    return [found[row_id][1] for row_id in ids]


def _checked(path: Path, number: int, row: Any) -> tuple[str, str]:
    id, prediction = (row.get("id"), row.get("prediction")) if isinstance(row, dict) else (None, None)
    id = str(id) if type(id) is int else id  # as task `jsonl` reads ids
    if not isinstance(id, str) or not isinstance(prediction, str):
        raise InputError(
            f'{path}:{number}: a row should be an object with "id", a text or a whole number, and the text "prediction"'
        )
    return id, prediction


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_IDS]) + (", …" if len(names) > _NAMED_IDS else "")


def main(argv: list[str]) -> None:
    del argv
    task = get_task(_TASK.value, _DATA_DIR.value, **parse_options(_TASK.value, _OPTION.value))
    summary, rows = score_file(task, _SPLIT.value, Path(_PREDICTIONS.value), _LIMIT.value)
    if _OUTPUT.value:
        output = Path(_OUTPUT.value)
        make_folder(output.parent)
        write_text(output, "".join(json.dumps(row) + "\n" for row in rows))
    print(json.dumps(summary))


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, required=("task", "predictions"))
