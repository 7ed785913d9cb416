"""Damaged and hostile inputs for every door of the package: a right result or an InputError of one line, nothing else.

    python tests/fuzz.py [--cases=3000] [--seed=1] [--area=NAME]

A case is a number: it draws which of an area's files is changed and how, so that `--seed` and `--area` repeat it. It
prints a line per area (tried, right, clean, other) and every case that ended otherwise, and exits 1 where there is one.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ipt_jax.errors import InputError

# Values of JSON that nobody expects.
_ODD = [None, True, False, 0, -1, 3.5, -0.0, 1e308, 10**30, 2**63, [], {}, [[]], [None], {"": None}, {"a": {"a": 1}}]
_ODD += ["", " ", "x", "0", "nan", "\ud800", "\x00", "\x1b[2J", "=1+1", "../../etc/passwd", "a" * 5000, "é", "\u2028"]
_ODD_BYTES = (b"\x00", b"\xff", b"\n", b'"', b"{", b"]", b"\xef\xbb\xbf", b"9" * 5000)
_NO_JSON = ("NaN", "1e999", "[" * 20_000 + "]" * 20_000, "9" * 5000)  # but JSON to some readers


class Area(NamedTuple):
    """A door.

    Attributes:
      write: makes the sound files in a folder.
      read: reads them; what it returns is compared with what it gave for the sound files where `kept` is True.
      kept: whether what is read was written by us and is checked: then it must be what was written, or refused.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    kept: bool = False


def mutate(rng: random.Random, content: bytes) -> bytes:
    """A few changes of bytes, or of a value where the content is JSON or JSON Lines."""
    if rng.random() < 0.5:
        changed = _other_json(rng, content)
        if changed is not None:
            return changed
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 8, 64, len(data)))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = bytes(rng.randrange(256) for _ in range(min(length, 64)))
        elif kind == 3:
            data[place:place] = data[place : place + length]
        elif kind == 4:
            del data[place:]
        else:
            data[place : place + 1] = rng.choice(_ODD_BYTES)
    return bytes(data)


def _other_json(rng: random.Random, content: bytes) -> bytes | None:
    """The content with one value, key or entry replaced; None where it is no JSON."""
    try:
        text = content.decode()
        lines = text.splitlines() if text.count("\n") > 1 and text[0] == "{" and "}\n{" in text else [text]
        chosen = rng.randrange(len(lines))
        value = json.loads(lines[chosen])
    except (ValueError, IndexError):
        return None
    places = list(_places(value))
    if not places:
        return None
    holder, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[rng.choice(("", "x", str(key).upper()))] = holder.pop(key)
    else:
        holder[key] = rng.choice(_ODD)
    lines[chosen] = json.dumps(value)
    if kind == 3:
        lines[chosen] = lines[chosen].replace('"x"', rng.choice(_NO_JSON))
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def _places(value: Any):
    """Every (holder, key) of a JSON value."""
    if isinstance(value, dict | list):
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(part)


def run_case(name: str, case: int, folder: Path) -> tuple[str, str]:
    """One case of an area in a folder of its own: what came of it (right, clean or other), and why."""
    area, rng = AREAS[name], random.Random(f"{name}:{case}")
    area.write(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    truth = area.read(folder) if area.kept else None
    if area.kept:  # reading may have made files, such as caches
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice(files)
    path.write_bytes(mutate(rng, path.read_bytes()))
    try:
        found = area.read(folder)
    except InputError as error:
        return "clean", str(error)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return "other", f"{path.name}: {type(error).__name__}: {str(error)[:120]} ({where})"
    if area.kept and found != truth:
        return "other", f"{path.name}: other content was believed"
    return "right", ""


def _rows(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _task_files(folder: Path) -> None:
    rows = [{"id": n, "input": f"in {n} a", "target": f"out {n}"} for n in range(4)]
    (folder / "test.jsonl").write_text(_rows(*rows))


def _read_jsonl(folder: Path) -> Any:
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import load_split

    return load_split(get_task("jsonl", folder), "test", cache_dir=folder / "cache")[:]


def _read_task(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        from ipt_jax.tasks import get_task
        from ipt_jax.tasks.scores import score

        task = get_task(name, folder)
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
    name = "p.jsonl"
    (folder / name).write_text(_rows(*({"id": n, "prediction": f"out {n}"} for n in range(4))))


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

    return load_split(get_task("sample"), "dev", cache_dir=folder)[:]


def _read_arrays(folder: Path) -> Any:
    import numpy as np

    from ipt_jax.retrieval.cache import kept

    arrays = kept(folder / "a.npz", lambda: {"vectors": np.arange(6.0).reshape(2, 3), "count": np.int64(3)})
    return {name: array.tolist() for name, array in arrays.items()}


def _write_run(folder: Path) -> None:
    """A working directory with one run that is finished and one that is not."""
    from report_samples import make_workdir

    make_workdir(folder, examples=4, methods=((0, 0, None, 0, 0.1), (4, 1, "dense", 0, 0.6)))


def _report(folder: Path) -> Any:
    from ipt_jax import report

    report.render([folder], folder / "report")
    return report.terminal_table(folder)


def _resume(folder: Path) -> Any:
    """What an experiment reads of its folder when it goes on."""
    from ipt_jax.results import run_folders, sync_results
    from ipt_jax.storage import read_json, read_rows

    sync_results(folder)
    rows = read_rows(folder / "results.jsonl", {"run": str})
    for run in run_folders(folder):
        rows += [read_json(run.run_json), *read_rows(run.predictions, {"id": str, "prediction": str})]
        rows += read_rows(run.metrics, {"step": int})
    return None


def _write_prompts(folder: Path) -> None:
    import numpy as np

    from ipt_jax.checkpoints import save_prompt

    prompt = np.arange(8, dtype=np.float32).reshape(2, 4)
    save_prompt(folder / "prompt.safetensors", prompt, {"model": "m"})
    np.save(folder / "prompt.npy", prompt)


def _read_prompts(folder: Path) -> Any:
    import numpy as np

    from ipt_jax.checkpoints import load_prompt

    for name in ("prompt.safetensors", "prompt.npy"):
        prompt = load_prompt(folder / name)
        assert prompt.ndim == 2 and prompt.dtype == np.float32 and np.isfinite(prompt).all()
    return None


AREAS: dict[str, Area] = {
    "task jsonl": Area(_task_files, _read_jsonl),
    "task dart": Area(_write_dart, _read_task("dart")),
    "task logic2text": Area(_write_logic2text, _read_task("logic2text")),
    "task mtop": Area(_write_mtop, _read_task("mtop")),
    "task totto": Area(_write_totto, _read_task("totto")),
    "predictions": Area(_write_predictions, _score),
    "kept table": Area(_nothing, _read_table, kept=True),
    "kept arrays": Area(_nothing, _read_arrays, kept=True),
    "prompts": Area(_write_prompts, _read_prompts),
    "report": Area(_write_run, _report),
    "resumed folder": Area(_write_run, _resume),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100, help="of each area")
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--area", choices=AREAS, help="this one alone")
    options = parser.parse_args()
    others = 0
    for name in [options.area] if options.area else AREAS:
        counts: collections.Counter = collections.Counter()
        for case in range(options.seed, options.seed + options.cases):
            with tempfile.TemporaryDirectory() as folder:
                outcome, why = run_case(name, case, Path(folder))
            counts[outcome] += 1
            if outcome == "other":
                print(f"  {name}, case {case}: {why}", flush=True)
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("right", "clean", "other"))
        print(f"{name}: {options.cases} tried, {told}")
        others += counts["other"]
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
