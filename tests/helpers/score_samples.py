"""Every task with a few examples and predictions, good and odd ones, for tests of what the task's scores are."""

import json
import shutil
from typing import Any, NamedTuple

from official import committed
from spider_files import BAND, write, write_database

from ipt_jax.tasks.base import Example
from ipt_jax.tasks.dart import Dart
from ipt_jax.tasks.jsonl import JsonLines
from ipt_jax.tasks.logic2text import Logic2Text
from ipt_jax.tasks.mtop import Mtop
from ipt_jax.tasks.sample.task import Sample
from ipt_jax.tasks.spider import Spider
from ipt_jax.tasks.totto import FILE_NAMES, Totto

ROWS = 40  # of each golden set
ODD = ["", " ", "Zizzi", "ÜBER  the « river »\u2028.", "not this one , 12 of 1,000 \n"]


class Sampled(NamedTuple):
    """A task with predictions for some of its examples."""

    task: Any
    predictions: list[str]
    examples: list[Example]


def sampled_tasks(folder) -> dict[str, Sampled]:
    """By name: each task, `jsonl` on rows that are written into `folder`, and `spider` with and without databases."""
    return {
        "dart": _dart(),
        "jsonl": _jsonl(folder / "jsonl"),
        "logic2text": _logic2text(),
        "mtop": _mtop(),
        "sample": _sample(),
        "spider": _spider(),
        "spider_databases": _spider_databases(folder / "spider"),
        "totto": _totto(folder / "totto"),
    }


def _spread(rows: list) -> list:
    return rows[:: max(len(rows) // ROWS, 1)][:ROWS]


def _dart() -> Sampled:
    golden = committed("dart")
    references = {row["id"]: tuple(row["references"]) for row in golden.rows("references.jsonl.gz")}
    rows = _spread(golden.rows("predictions.jsonl.gz"))
    examples = [Example(row["id"], "x", references[row["id"]][0], references[row["id"]]) for row in rows]
    return Sampled(Dart(None), [row["prediction"] for row in rows], examples)


def _jsonl(folder) -> Sampled:
    folder.mkdir()
    texts = [["Zizzi is a pub .", "zizzi"], ["A  Pub."], ["", "Über the river"], ["not this one"], ["ONE", "two", "3"]]
    rows = [{"input": "x", "references": each} for each in texts * 2]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = JsonLines(folder)
    return Sampled(task, ODD + ["zizzi is a PUB .", "A Pub.", "über the river", "", "two"], list(task.read("test")))


def _logic2text() -> Sampled:
    rows = _spread(committed("logic2text").rows("verdicts.jsonl.gz"))
    examples = [Example("x", "", row["gold"], (row["gold"],), {"logic_form": row["logic_str"]}) for row in rows]
    return Sampled(Logic2Text(None), [row["prediction"] for row in rows], examples)


def _mtop() -> Sampled:
    rows = _spread(committed("mtop").rows("verdicts.jsonl.gz"))
    examples = [Example("dev:0", "", row["gold"], (row["gold"],)) for row in rows]
    return Sampled(Mtop(None), [row["prediction"] for row in rows], examples)


def _sample() -> Sampled:
    examples = list(Sample().read("test"))[:ROWS]
    predictions = [example.references[-1].replace(" is ", " was ") for example in examples]
    return Sampled(Sample(), [*ODD, *predictions[len(ODD) :]], examples)


def _spider() -> Sampled:
    golden = committed("spider")
    rows = _spread(golden.rows("verdicts.jsonl.gz"))
    examples = [Example("dev:0", "", "", (row["gold"],), {"db_id": row["db_id"]}) for row in rows]
    return Sampled(Spider(golden.release), [row["prediction"] for row in rows], examples)


def _spider_databases(folder) -> Sampled:
    folder.mkdir()
    queries = [
        "SELECT Name ,  ID FROM Singer",
        "SELECT name FROM Singer WHERE Home = 'Oslo'",
        "SELECT count(*) FROM Singer GROUP BY Home HAVING count(*) > 1",
        "SELECT x FROM nowhere",  # a gold that can neither be parsed nor run
    ]
    task = Spider(write(folder, [{"question": "?", "query": query, "db_id": "Band"} for query in queries]))
    write_database(folder, BAND)
    predictions = ["select ID , Name from SINGER", "SELECT name FROM Singer WHERE ID < 2 OR ID = 2", "no SQL", "x"]
    return Sampled(task, predictions, list(task.read("dev")))


def _totto(folder) -> Sampled:
    folder.mkdir()
    golden = committed("totto")
    shutil.copyfile(golden.release / "totto_dev_sample.jsonl.gz", folder / f"{FILE_NAMES['dev']}.gz")
    task = Totto(folder)
    examples = {example.id: example for example in task.read("dev")}
    rows = _spread(golden.rows("predictions.jsonl.gz"))
    return Sampled(
        task, [row["prediction"] for row in rows], [examples[row["id"].replace("_sample", "")] for row in rows]
    )
