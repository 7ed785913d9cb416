"""The data of the page's example explorer: a setting's examples with the predictions of all runs, packed small.

A page may hold hundreds of thousands of predictions, so each setting is packed for itself (JSON, gzip, base64), and
the page unpacks only the one that is chosen. What varies by example is a column; a text that several runs share is
written once, next to the texts that it resembles, which is what makes gzip small.
"""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ipt_jax.report.reading.methods import Setting
from ipt_jax.report.reading.runs import Run, flatten


@dataclass(frozen=True)
class Pack:
    """The examples of one setting.

    Attributes:
      title: of the setting.
      examples: how many.
      data: ASCII; base64 of the gzip of the JSON that `explorer_columns` describes.
    """

    title: str
    examples: int
    data: str


def explorer_packs(settings: Iterable[Setting]) -> list[Pack]:
    """One pack for each setting that has predictions. The same predictions give the same bytes."""
    packs = []
    for setting in settings:
        columns = explorer_columns(setting)
        if columns["examples"]:
            text = json.dumps(columns, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            encoded = text.encode("utf-8", "backslashreplace")  # a lone surrogate as its JSON escape
            data = base64.b64encode(gzip.compress(encoded, compresslevel=6, mtime=0)).decode()
            packs.append(Pack(setting.title, len(columns["examples"]), data))
    return packs


def explorer_columns(setting: Setting) -> dict[str, Any]:
    """What the page knows of a setting, as JSON values.

        {examples: [[id, input, [reference], [prediction]]],
         texts: [text],
         methods: [{label, runs: [{seed, prediction, score, cut, log_probability, shown, read}]}]}

    `input` is the shortest text that any run saw for the example; its predictions are the different ones, each once.
    All that a run has is a column with an entry per example, null where the run has no row: `prediction` indexes the
    predictions of the example; `cut` is 1 where the length limit ended it; `shown` has `[demonstration id, similarity]`
    pairs; `read` indexes `texts`: what the run saw before `input`, a text per demonstration where they can be told
    apart, or one for everything.
    """
    methods = [(method, [run for run in method.runs if run.predictions]) for method in setting.methods]
    methods = [(method, runs) for method, runs in methods if runs]
    by_id = [[{row["id"]: row for row in run.predictions} for run in runs] for _, runs in methods]
    every_run = [rows for runs in by_id for rows in runs]
    ids = sorted({id: None for rows in every_run for id in rows}, key=natural_order)
    examples = [_example(id, [rows[id] for rows in every_run if id in rows]) for id in ids]
    texts: dict[str, int] = {}
    return {
        "examples": examples,
        "methods": [
            {
                "label": method.label,
                "runs": [
                    {"seed": run.seed, **_run_columns(run, rows, examples, texts)}
                    for run, rows in zip(runs, found, strict=True)
                ],
            }
            for (method, runs), found in zip(methods, by_id, strict=True)
        ],
        "texts": list(texts),
    }


def _example(id: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    shortest = min((row["input"] for row in rows), key=len)
    return [id, shortest, rows[0]["references"], list(dict.fromkeys(row["prediction"] for row in rows))]


def _run_columns(
    run: Run, rows: Mapping[str, Mapping[str, Any]], examples: Sequence[Sequence[Any]], texts: dict[str, int]
) -> dict[str, list[Any]]:
    """The columns of one run; what it read is added to `texts`."""
    boundary = _boundary(run)
    found = [(rows.get(id), input, predictions) for id, input, _, predictions in examples]

    def read(row: Mapping[str, Any], input: str) -> list[int]:
        pieces = _pieces(row["input"].removesuffix(input), len(row.get("demonstrations") or []), boundary)
        return [texts.setdefault(piece, len(texts)) for piece in pieces]

    def column(value: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
        return [row and value(row) for row, _, _ in found]

    return {
        "prediction": [row and predictions.index(row["prediction"]) for row, _, predictions in found],
        "score": column(lambda row: _rounded(row.get("score"), 1)),
        "cut": column(lambda row: int(row.get("stop") == "length")),
        "log_probability": column(lambda row: _rounded(row.get("log_probability"), 1)),
        "shown": column(
            lambda row: [[each["id"], _rounded(each.get("similarity"), 3)] for each in row.get("demonstrations") or []]
        ),
        "read": [row and read(row, input) for row, input, _ in found],
    }


def _boundary(run: Run) -> re.Pattern[str] | None:
    """Where one demonstration ends and the next begins, by the run's template; None where that is not recorded."""
    config = flatten(run.config)
    separator, query = (config.get(f"layout.template.{leaf}") for leaf in ("separator", "query"))
    if not separator or not query:
        return None
    return re.compile(f"(?<={re.escape(separator)})(?={re.escape(query.partition('{input}')[0])})")


def _pieces(before: str, demonstrations: int, boundary: re.Pattern[str] | None) -> list[str]:
    """The text of each demonstration; the whole where it does not fall into as many pieces, [] where there is none."""
    if not before:
        return []
    pieces = [piece for piece in boundary.split(before) if piece] if boundary and demonstrations > 1 else []
    return pieces if len(pieces) == demonstrations else [before]


def natural_order(id: str) -> list[tuple[bool, int, str]]:
    """Sorts `test:9` before `test:20`: predictions are written in the order they were decoded, longest first."""
    parts = re.split(r"(\d+)", id)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
