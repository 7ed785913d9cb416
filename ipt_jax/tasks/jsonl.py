"""A user's own task without code: JSON Lines files of inputs and references in `config.task.data_dir`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.metrics.bleu import BLEU_LOWERCASE, BLEU_SACREBLEU, SENTENCE_BLEU
from ipt_jax.metrics.calibration import calibration_error
from ipt_jax.metrics.chrf import CHRF2
from ipt_jax.metrics.metric import Metric
from ipt_jax.metrics.rouge import ROUGE_L
from ipt_jax.metrics.text_match import NORMALISATIONS, match_metrics
from ipt_jax.runtime import named_parts
from ipt_jax.tasks.base import SPLITS, Example, check_split
from ipt_jax.tasks.reading import find_file, read_json_lines

FILE_NAMES = {split: f"{split}.jsonl" for split in SPLITS}
BLEU = dataclasses.replace(BLEU_SACREBLEU, name="bleu", title="BLEU")
_DEFAULTS = {"metric": "bleu", "normalisation": "none", "choices": "", "per_token": False}
# What stands between choices, and what says that a row has its own.
_BETWEEN, _OF_THE_ROW = "|", "row"
_ROW = '{"input": text, "references": [text, …]} or {"input": text, "target": text}'


class JsonLines:
    """`{train,dev,test}.jsonl`, plain or `.gz`, a row per example.

    A row is `{"input", "references"}` or `{"input", "target"}`. With references alone the first is the target; with
    a target alone it is the only reference; with both each is what it says. An `id` (a text or a whole number,
    unique in its file) is optional: without it the first row of test.jsonl is `test:0`. Other keys are left alone.

    Args:
      metric: the headline: bleu, exact_match, accuracy (macro-F1 beside it), f1 (of words), rouge_l or chrf; or one's
        own as module:object.
      normalisation: what exact_match, accuracy and f1 do to the texts first: none, lower or squad (`NORMALISATIONS`).
      choices: labels with | between them, or row where each row has its own list under "choices": the answer is then
        the most probable of them instead of what the model would write, and its calibration is measured (ECE).
      per_token: compare choices by their log-probability divided by their number of tokens.

    Raises:
      InputError: another metric or normalisation, a normalisation that the metric has no use for, or choices that are
        fewer than two, or scored by something else than accuracy.
    """

    name = "jsonl"
    title = "JSON Lines"
    metrics = (BLEU, BLEU_LOWERCASE, SENTENCE_BLEU, CHRF2, ROUGE_L)
    reader_version = 1
    later_options = ("metric", "normalisation", "choices", "per_token")

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None,
        *,
        metric: str = _DEFAULTS["metric"],
        normalisation: str = _DEFAULTS["normalisation"],
        choices: str = _DEFAULTS["choices"],
        per_token: bool = _DEFAULTS["per_token"],
    ):
        self._data_dir = data_dir
        given = {"metric": metric, "normalisation": normalisation, "choices": choices, "per_token": per_token}
        self.options: Mapping[str, Any] = {k: v for k, v in given.items() if v != _DEFAULTS[k]}
        _check("normalisation", normalisation, NORMALISATIONS)
        matches = match_metrics(normalisation)
        groups = {
            "bleu": self.metrics,
            "exact_match": (matches["exact_match"], matches["f1"]),
            "accuracy": (matches["accuracy"], matches["macro_f1"]),
            "f1": (matches["f1"], matches["exact_match"]),
            "rouge_l": (ROUGE_L, CHRF2, BLEU),
            "chrf": (CHRF2, ROUGE_L, BLEU),
        }
        if ":" in metric:
            own = named_parts.named(metric, {}, named_parts.METRICS, "config.task.options.metric")
            if not isinstance(own, Metric):
                raise InputError(f"config.task.options.metric={metric!r} is {own!r}; it should be a Metric")
            groups[metric] = (own,)
        _check("metric", metric, groups)
        if normalisation != _DEFAULTS["normalisation"] and metric not in matches:
            raise InputError(
                f"config.task.options.normalisation={normalisation!r} does nothing to metric {metric!r}; leave it out, "
                "or score by exact_match, accuracy or f1"
            )
        self.metrics = groups[metric]
        self._of_the_row, self.per_token = choices == _OF_THE_ROW, per_token
        self._choices = () if self._of_the_row else _choices(choices)
        if choices:
            if metric != "accuracy":
                raise InputError(
                    f"config.task.options.choices={choices!r} with metric {metric!r}: what is chosen is a label; set "
                    "config.task.options.metric='accuracy'"
                )
            self.metrics = (*self.metrics, calibration_error(normalisation))

    def choices_of(self, example: Example) -> tuple[str, ...]:
        """What the answer to an example is chosen from; nothing where it is written."""
        return tuple(example.details["choices"]) if self._of_the_row else self._choices

    def files(self, split: str) -> tuple[Path, ...]:
        name = FILE_NAMES[check_split(split)]
        if self._data_dir and (path := find_file(Path(self._data_dir), name)):
            return (path,)
        place = f"not in {str(self._data_dir)!r}" if self._data_dir else "config.task.data_dir is unset"
        raise InputError(
            f"{name} (or .jsonl.gz) of task 'jsonl': {place}; write your data as {', '.join(FILE_NAMES.values())} with "
            f"a row {_ROW} per line and set config.task.data_dir (in a command: --data_dir) to their folder"
        )

    def read(self, split: str) -> Iterator[Example]:
        (path,) = self.files(split)
        lines: dict[str, int] = {}
        for index, (line, row) in enumerate(read_json_lines(path)):
            example = self._example(row, f"{split}:{index}", f"{path}:{line}")
            first = lines.setdefault(example.id, line)
            if first != line:
                raise InputError(f"{path}:{line}: id {example.id!r} is on line {first} already; ids must be unique")
            yield example

    def _example(self, row: Mapping[str, Any], default_id: str, place: str) -> Example:
        example = _example(row, default_id, place)
        if self._of_the_row:
            own = row.get("choices")
            if not isinstance(own, list) or len(own) < 2 or not all(isinstance(text, str) and text for text in own):
                raise InputError(f"{place}: 'choices'={own!r} should be a list of at least two texts")
            example = dataclasses.replace(example, details={"choices": own})
        offered = self.choices_of(example)
        if offered and example.target not in offered:
            raise InputError(f"{place}: the target {example.target!r} is none of the choices {', '.join(offered)}")
        return example


def _choices(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(_BETWEEN)) if text else ()
    if text and (len(found) < 2 or not all(found) or len(set(found)) < len(found)):
        raise InputError(
            f"config.task.options.choices={text!r} should be different labels with {_BETWEEN} between them, such as "
            f"'yes|no', or {_OF_THE_ROW!r}"
        )
    return found


def _check(option: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise InputError(f"config.task.options.{option}={value!r} of task 'jsonl' should be one of {', '.join(known)}")


def _example(row: Mapping[str, Any], default_id: str, place: str) -> Example:
    source, target, references, id = (row.get(key) for key in ("input", "target", "references", "id"))
    if not isinstance(source, str):
        raise InputError(f"{place}: 'input'={source!r} should be a text: {_ROW}")
    if target is None and references is None:
        raise InputError(f"{place}: neither 'references' nor 'target': {_ROW}")
    if target is not None and not isinstance(target, str):
        raise InputError(f"{place}: 'target'={target!r} should be a text: {_ROW}")
    references = [target] if references is None else references
    if not isinstance(references, list) or not references or not all(isinstance(text, str) for text in references):
        raise InputError(f"{place}: 'references'={references!r} should be a list of at least one text: {_ROW}")
    if id is not None and (not isinstance(id, str | int) or isinstance(id, bool)):
        raise InputError(f"{place}: 'id'={id!r} should be a text or a whole number")
    return Example(
        default_id if id is None else str(id), source, references[0] if target is None else target, tuple(references)
    )
