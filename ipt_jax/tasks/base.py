"""The vocabulary of every task: an example, a task, and how a split gets from released files to Arrow."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ipt_jax.errors import InputError
from ipt_jax.metrics.metric import Metric
from ipt_jax.runtime import named_parts
from ipt_jax.tasks.reading import content_sha256
from ipt_jax.workdir import json_text
from ipt_jax.workdir.disk import OF_A_CACHE, remove, writing

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "dev", "test")
_log = logging.getLogger(__name__)

_ROWS_PER_BATCH = 1_000
_TABLE_VERSION = 3  # Counts the changes of the table's columns and of what info.json says.
_LIMIT_SEED = 20230222  # Never a run's seed: all runs of an experiment see one subset. (The paper's date.)


@dataclasses.dataclass(frozen=True)
class Example:
    """One input with the text to learn and the texts to be judged by.

    Attributes:
      id: unique in its split and stable between runs, such as `train:225:0` (entry 225, text 0).
      input: the linearised source, without any template around it: UnifiedSKG's text and its structure (the table, the
        schema, the triples), with a blank where UnifiedSKG's own template puts "; structured knowledge:".
      target: the text a model is trained to write; a demonstration shows it too.
      references: every text that the metric accepts; at least one.
      details: JSON values that the metric needs besides the references, such as ToTTo's table or Spider's
        `db_id`; an Arrow table holds them as JSON text.
    """

    id: str
    input: str
    target: str
    references: tuple[str, ...]
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Example:
        """The example that a row of `load_split`'s table holds."""
        details = json.loads(row["details"])
        return cls(row["id"], row["input"], row["target"], tuple(row["references"]), details)

    def to_row(self) -> dict[str, Any]:
        """The row of `load_split`'s table that holds the example."""
        details = json.dumps(self.details, separators=(",", ":"))
        return {**{name: getattr(self, name) for name in ("id", "input", "target", "references")}, "details": details}


class Task(Protocol):
    """What one file in `tasks/` provides; see `tasks/dart.py` for the pattern.

    The constructor is `TaskClass(data_dir, *, switch=default, …)`: the folder of the released files, then the
    task's own switches as keyword-only arguments of type bool, int, float or str (`config.task.options`).

    Attributes:
      name: the value of `config.task.name`.
      title: how people call it in a table.
      metrics: what its predictions are scored by, see `tasks/scores.py`. The first one is the headline, of a corpus and
        never left out; the first one that scores single texts stands in predictions.jsonl.
      reader_version: counts the changes of `read`; a new number makes cached splits be read again.
      options: the switches' values, all of them but unused later ones; `{}` where the task has none.

    A task may have more:
      later_options: names of switches that came after the task's first runs: where one has its default it is no part of
        `options`, nor of a run's id.
      splits: those that can be read, where that is not all of `SPLITS`; see `splits_of`.
      choices_of: a method, an example → the texts that its answer is one of, the most probable; nothing where the
        answer is written. `per_token` says whether log-probabilities are divided by the number of tokens.
      groups: the key of `Example.details` that tells where an example comes from, such as a table or a database;
        the report of `tasks/overlap.py` counts what train and the evaluated split share.
      subsets: a method, examples → {name: their places}, of parts that are scored for themselves, such as a hardness;
        one without an example is left out.
      subset_metrics: the names of the metrics that they are scored by, where these are not all.
    """

    name: str
    title: str
    metrics: Sequence[Metric]
    reader_version: int
    options: Mapping[str, Any]

    def files(self, split: str) -> Sequence[Path]:
        """The files that the split is read from. Raises InputError that says where to get them."""

    def read(self, split: str) -> Iterator[Example]:
        """Streams the split's examples in file order. Raises InputError with file and line."""


def check_split(split: str) -> str:
    """The split's name. Raises InputError where it is not one."""
    if split not in SPLITS:
        raise InputError(f"split = {split!r} is not one of {', '.join(SPLITS)}")
    return split


def splits_of(task: Task) -> tuple[str, ...]:
    """The splits that the task can read: some releases keep the targets of their test split."""
    return tuple(getattr(task, "splits", SPLITS))


def choices_of(task: Task, example: Example) -> tuple[str, ...]:
    """The texts that the answer to an example is chosen from; nothing where it is written."""
    return task.choices_of(example) if hasattr(task, "choices_of") else ()


def is_there(task: Task, split: str) -> bool:
    """Whether the files of a split are where the task looks for them."""
    try:
        return bool(task.files(split))
    except InputError:
        return False


def data_hash(task: Task, splits: str | Sequence[str]) -> str:
    """The sha256 (hex) of what the splits' files say.

    Files are hashed decompressed and by content alone, so the same release as `.json` or `.json.gz`, in
    whatever folder, has one hash.
    """
    splits = (splits,) if isinstance(splits, str) else tuple(splits)
    contents = [[split, *(content_sha256(path) for path in task.files(split))] for split in splits]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def load_split(
    task: Task, split: str, *, limit: int | None = None, cache_dir: str | os.PathLike[str]
) -> datasets.Dataset:
    """A split as a memory-mapped Arrow table with the columns id, input, target, references and details.

    A row is what `Example.to_row` makes; `Example.from_row` reads it back. References are a list of texts, details
    a JSON text.

    The first call reads the released files and writes `<cache_dir>/<task>-<split>-<key>/`; later ones map that
    folder. The key is a hash of the files' content, the task's name, options and reader version, so a changed
    file, option or reader never meets an old table. A table that is not what was written is made anew, with a
    warning. Nothing is written elsewhere and nothing is fetched.

    Args:
      limit: keep only so many examples. They are drawn with a fixed seed that has nothing to do with a run's,
        and stay in file order; a smaller limit keeps a subset of a larger one's. Not the first ones, because
        released files are ordered by source: the first thousand pairs of DART are all of one kind. A limit
        above the split's size keeps everything.

    Raises:
      InputError: missing or malformed files, an empty split, a limit below 1; or the disk refused the table.
    """
    import datasets  # Heavy, and the score command does without it.

    if limit is not None and limit < 1:
        raise InputError(f"limit = {limit} keeps no example of split {split!r}; use a number from 1, or None for all")
    content = data_hash(task, split)
    identity = [_TABLE_VERSION, task.name, task.reader_version, dict(task.options), split, content]
    identity += [code] if (code := named_parts.hash_of(task)) else []
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(cache_dir) / f"{task.name}-{split}-{key}"
    with writing(folder, OF_A_CACHE):
        if os.path.lexists(folder) and (damage := _damage(folder)):
            _log.warning("%s cannot be used and is made anew (%s)", folder, damage)
            remove(folder)
        if not folder.is_dir():
            _write_split(task, split, folder, content)
    table = datasets.Dataset.from_file(str(folder / "data.arrow"))
    if limit is None or limit >= len(table):
        return table
    return table.select(subset(table["id"], limit))


def subset(ids: Sequence[str], limit: int) -> list[int]:
    """The positions of the `limit` ids with the smallest seeded hashes, in order: what a limit keeps of a split."""

    # A hash, not a random generator: the same subset on every version of every library.
    def rank(index_and_id: tuple[int, str]) -> bytes:
        return hashlib.sha256(f"{_LIMIT_SEED}:{index_and_id[1]}".encode()).digest()

    return sorted(index for index, _ in heapq.nsmallest(limit, enumerate(ids), key=rank))


def _damage(folder: Path) -> str:
    """What is wrong with a kept table; nothing where its bytes are those that were written."""
    try:
        written = json_text.parse_object((folder / "info.json").read_bytes()).get("table_sha256")
        return "" if _sha256(folder / "data.arrow") == written else "its content is not what was written"
    except (OSError, ValueError) as error:
        return str(error)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_split(task: Task, split: str, folder: Path, content: str) -> None:
    """Reads the split into `folder`, which appears complete or not at all."""
    import pyarrow

    schema = pyarrow.schema(
        {
            "id": pyarrow.string(),
            "input": pyarrow.string(),
            "target": pyarrow.string(),
            "references": pyarrow.list_(pyarrow.string()),
            "details": pyarrow.string(),
        }
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True) as name:
        # A folder of its own inside the temporary one: it is renamed away, and the other one is then removed.
        partial = Path(name) / "split"
        partial.mkdir()
        count = 0
        with pyarrow.OSFile(str(partial / "data.arrow"), "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as writer:
            for batch in _batches(task.read(split)):
                writer.write_batch(pyarrow.RecordBatch.from_pylist(batch, schema=schema))
                count += len(batch)
        if not count:
            files = ", ".join(str(path) for path in task.files(split))
            raise InputError(f"split {split!r} of task {task.name!r} is empty: {files} has no example")
        info = {
            "task": task.name,
            "split": split,
            "examples": count,
            "content_sha256": content,
            "table_sha256": _sha256(partial / "data.arrow"),
            "reader_version": task.reader_version,
            "options": dict(task.options),
        }
        (partial / "info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        try:
            os.rename(partial, folder)
        except OSError:
            # Another process wrote the same content first; anything else (a full disk, no permission) is told.
            if not folder.is_dir():
                raise


def _batches(examples: Iterator[Example]) -> Iterator[list[dict[str, Any]]]:
    batch = []
    for example in examples:
        batch.append(example.to_row())
        if len(batch) == _ROWS_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
