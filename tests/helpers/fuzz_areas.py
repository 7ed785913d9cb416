"""Doors of data: tasks' files, predictions, what is kept between experiments, and working directories."""

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spider_files
from fuzz_mutations import damage_a_file


class Area(NamedTuple):
    """A door.

    Attributes:
      write: makes the sound files in a folder.
      read: reads them; what it returns is compared with what it gave for the sound files where `kept` is True.
      kept: whether what is read was written by us and is checked: then it must be what was written, or refused.
      damage: changes the files, and says how.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    kept: bool = False
    damage: Callable[[Any, Path], str] = damage_a_file


def _rows(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _task_files(folder: Path) -> None:
    rows = [{"id": n, "input": f"in {n} a", "target": f"out {n}"} for n in range(4)]
    (folder / "test.jsonl").write_text(_rows(*rows))


def _read_jsonl(folder: Path) -> Any:
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import load_split

    return load_split(get_task("jsonl", folder), "test", cache_dir=folder / "cache")[:]


def _labelled_files(folder: Path) -> None:
    rows = [{"id": n, "input": f"in {n}", "target": "ab"[n % 2], "choices": ["a", "b", "c"]} for n in range(4)]
    (folder / "test.jsonl").write_text(_rows(*rows))


def _read_labelled(folder: Path) -> Any:
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import choices_of

    task = get_task("jsonl", folder, metric="accuracy", choices="row")
    return [choices_of(task, example) for example in task.read("test")]


def _read_task(name: str, **options: Any) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from ipt_jax.tasks import get_task
        from ipt_jax.tasks.scores import score

        task = get_task(name, folder, **options)
        examples = list(task.read("dev"))
        return score(task, [example.target for example in examples], examples) if examples else None

    return read


def _write_dart(folder: Path) -> None:
    entry = {"tripleset": [["a", "IS", "b"]], "subtree_was_extended": False}
    entries = [{**entry, "annotations": [{"source": "s", "text": f"a is b {n}"}]} for n in range(3)]
    (folder / "dart-v1.1.1-full-dev.json").write_text(json.dumps(entries))


def _write_logic2text(folder: Path) -> None:
    form = "eq { count { filter_eq { all_rows ; won ; 9 } } ; 2 } = true"
    table = {"table_header": ["", "won"], "table_cont": [["a", "9"]]}
    record = {"topic": "t", "sent": "2 won 9 .", "logic_str": form, **table}
    (folder / "valid.json").write_text(json.dumps([record, record]))


def _write_mtop(folder: Path) -> None:
    (folder / "en_eval.jsonl").write_text(
        _rows(*({"question": "call mom", "logical_form": "[IN:CREATE_CALL [SL:CONTACT mom ] ]"} for _ in range(3)))
    )


def _write_spider(folder: Path) -> None:
    spider_files.write(folder)
    spider_files.write_database(folder, spider_files.BAND)


def _write_totto(folder: Path) -> None:
    cell = {"value": "1", "is_header": False, "column_span": 1, "row_span": 1}
    head = {**cell, "value": "Year", "is_header": True}
    record = {
        "table": [[head, head], [cell, cell]],
        "highlighted_cells": [[1, 0]],
        "table_page_title": "P",
        "table_section_title": "S",
        "table_section_text": "",
        "table_webpage_url": "u",
        "example_id": 7,
        "overlap_subset": False,
        "sentence_annotations": [{"original_sentence": "o", "final_sentence": "One in 1."}],
    }
    (folder / "totto_dev_data.jsonl").write_text(_rows(record, {**record, "example_id": 8}))


def _write_predictions(folder: Path) -> None:
    _task_files(folder)
    (folder / "p.jsonl").write_text(_rows(*({"id": n, "prediction": f"out {n}"} for n in range(4))))


def _score(folder: Path) -> Any:
    from ipt_jax.score import score_file
    from ipt_jax.tasks import get_task

    return score_file(get_task("jsonl", folder), "test", folder / "p.jsonl")


def _nothing(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _read_table(folder: Path) -> Any:
    """The Arrow table that is kept of the package's own sample."""
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import load_split

    return load_split(get_task("sample"), "dev", limit=20, cache_dir=folder)[:]


def _plain(arrays: Any) -> Any:
    return {name: np.asarray(array).tolist() for name, array in arrays.items()}


def _read_arrays(folder: Path) -> Any:
    from ipt_jax.retrieval.cache import kept

    arrays = {"vectors": np.arange(6.0).reshape(2, 3), "count": np.int64(3)}
    return _plain(kept(folder / "a.npz", lambda: arrays))


_TEXTS = ["the red house", "a red car", "blue house of the north", "a car"]


def _read_neighbours(folder: Path) -> Any:
    from ipt_jax.retrieval import Pool, bm25, cache

    queries, pool = Pool(["0", "1"], ["red house", "north"], "dev"), Pool(list("abcd"), _TEXTS)
    find = lambda: bm25.bm25_neighbours(queries, pool, 2)  # noqa: E731
    return _plain(vars(cache.kept_neighbours(folder, [bm25.key()], queries, pool, find)))


def _read_vectors(folder: Path) -> Any:
    from ipt_jax.retrieval import MeanHiddenStates

    class Known(MeanHiddenStates):
        """The door to the disk is the class's own; its vectors are the lengths of texts and of their first words."""

        def _compute(self, texts, advance):
            return np.array([[len(text), text.find(" ")] for text in texts], np.float32)

    return Known(None, None, types.SimpleNamespace(bos_id=None), "model", folder)(_TEXTS).tolist()


def _write_texts(folder: Path) -> None:
    (folder / "texts.json").write_text(json.dumps({"queries": ["red 房子", "नमस्ते"], "pool": [*_TEXTS, "红色的房子"]}))


def _search_texts(folder: Path) -> Any:
    """Whatever the texts of two lists are, they are searched."""
    from ipt_jax.errors import InputError
    from ipt_jax.retrieval import Pool
    from ipt_jax.retrieval.bm25 import bm25_neighbours
    from ipt_jax.workdir.json_files import read_json

    try:
        texts = read_json(folder / "texts.json", {"queries": list, "pool": list})
    except FileNotFoundError:
        raise InputError("no texts") from None
    queries, pool = ([text for text in texts[name] if isinstance(text, str)] for name in ("queries", "pool"))
    if not queries or not pool:
        raise InputError("no texts")
    found = bm25_neighbours(
        Pool([str(n) for n in range(len(queries))], queries, "dev"), Pool([str(n) for n in range(len(pool))], pool), 1
    )
    assert found.indices.shape == (len(queries), 1) and np.isfinite(found.similarities).all()


def _write_run(folder: Path) -> None:
    """A working directory with finished runs, one that failed and one that is not finished."""
    from report_samples import FAILED, UNFINISHED, add_search, make_workdir

    from ipt_jax.workdir.json_files import read_json, write_json

    make_workdir(folder, examples=4, methods=((0, 0, None, 0, 0.1), (4, 1, "dense", 0, 0.6)))
    for path in folder.glob("runs/*/result.json"):
        write_json(path, {**read_json(path), "metrics": {"bleu_unifiedskg": {"title": "BLEU", "meaning": "n-grams"}}})
    add_search(folder, {1e-2: {0: FAILED}, 3e-2: {0: UNFINISHED}}, examples=4)


def _report(folder: Path) -> Any:
    from ipt_jax import report

    report.render([folder], folder / "report")
    return report.terminal_table(folder)


def _resume(folder: Path) -> Any:
    """What an experiment reads of its folder when it goes on, beside checkpoints and prompts."""
    from ipt_jax.experiment.evaluation import Member, empty, written
    from ipt_jax.experiment.jobs import unfinished
    from ipt_jax.experiment.population import together
    from ipt_jax.workdir.json_files import read_json, read_rows
    from ipt_jax.workdir.run_folder import run_folders, sync_results

    sync_results(folder)
    read_rows(folder / "results.jsonl", {"run": str})

    def run_of(kept: Any) -> types.SimpleNamespace:
        return types.SimpleNamespace(id=kept.run_id, trained_file=lambda workdir: kept.prompt)

    runs = [run_of(kept) for kept in run_folders(folder)]
    unfinished(runs, folder)
    together(folder, runs, 2)
    for run in run_folders(folder):
        if run.run_json.exists():
            read_json(run.run_json)
        read_rows(run.metrics, {"step": int})
        ids = [row["id"] for row in read_rows(run.predictions, {"id": str, "prediction": str})]
        member = Member(None, types.SimpleNamespace(examples={"id": ids}), run.predictions)
        written(member), empty(member)


AREAS: dict[str, Area] = {
    "task jsonl": Area(_task_files, _read_jsonl),
    "labels of jsonl": Area(_labelled_files, _read_labelled),
    "task dart": Area(_write_dart, _read_task("dart")),
    "task logic2text": Area(_write_logic2text, _read_task("logic2text")),
    "task mtop": Area(_write_mtop, _read_task("mtop")),
    "task spider": Area(_write_spider, _read_task("spider", cell_values=True)),
    "task totto": Area(_write_totto, _read_task("totto")),
    "predictions": Area(_write_predictions, _score),
    "kept table": Area(_nothing, _read_table, kept=True),
    "kept arrays": Area(_nothing, _read_arrays, kept=True),
    "kept neighbours": Area(_nothing, _read_neighbours, kept=True),
    "kept vectors": Area(_nothing, _read_vectors, kept=True),
    "texts to search": Area(_write_texts, _search_texts),
    "report": Area(_write_run, _report),
    "resumed folder": Area(_write_run, _resume),
}
