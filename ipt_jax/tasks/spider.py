"""Spider, from questions to SQL (Yu et al. 2018): reads the official files, linearises, scores."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.metrics.spider.execution import execution_metric
from ipt_jax.metrics.spider.hardness import HARDNESSES
from ipt_jax.metrics.spider.match import gold_hardness, match_metrics
from ipt_jax.metrics.spider.query import Schema
from ipt_jax.tasks.base import Example, check_split
from ipt_jax.tasks.reading import find_file, read_json_list
from ipt_jax.tasks.spider_cells import cell_hints

# The release has the older data sets' training examples in a file of their own; most papers train without them.
FILE_NAMES = {"train": ("train_spider.json", "train_others.json"), "dev": ("dev.json",)}
SCHEMAS = "tables.json"
RELEASE_COUNTS = {"train": (7_000, 8_659), "dev": (1_034,)}

# A word without a quote beside it. Quirk: of a quoted text, that is the words inside, but neither first nor last one.
_UNQUOTED_WORD = re.compile(r"""\b(?<!['"])(\w+)(?!['"])\b""")


class Spider:
    """The official release in `data_dir`: `.json` or `.json.gz` files, and `database/<db_id>/<db_id>.sqlite`.

    The evaluated split is dev; the databases are needed for the option and for execution accuracy only.

    Options:
      cell_values: whether cells that the question names stand behind their column, as in UnifiedSKG's input.
    """

    name = "spider"
    title = "Spider"
    splits = ("train", "dev")
    groups = "db_id"
    reader_version = 1

    def __init__(self, data_dir: str | os.PathLike[str] | None, *, cell_values: bool = False):
        self._data_dir = data_dir
        self._cell_values = cell_values
        self._loaded: dict[str, Mapping[str, Any]] | None = None
        self._schema = functools.cache(lambda name: Schema.from_tables(self._schemas()[name]))
        self.metrics = (*match_metrics(self._schema), execution_metric(self._database))
        self.options: Mapping[str, Any] = {"cell_values": cell_values}

    def files(self, split: str) -> tuple[Path, ...]:
        """The questions, the schemas, and with `cell_values` every database that the split asks about."""
        if check_split(split) == "test":
            raise InputError(
                "split = 'test': Spider's test split is not part of the release; use 'dev', as the paper does: "
                "config.task.split='dev' (in the score command: --split=dev)"
            )
        questions = [path for name in FILE_NAMES[split] if (path := self._find(name))]
        schemas = self._find(SCHEMAS)
        required = (FILE_NAMES[split][0], SCHEMAS)
        if missing := [name for name in required if not self._find(name)]:
            raise InputError(f"{self._missing(missing)} (or .json.gz). {_ORIGIN}")
        databases = []
        if self._cell_values:
            names = dict.fromkeys(record["db_id"] for path in questions for _, record in read_spider(path))
            databases = [self._database(name) for name in names]
            if missing := [str(path) for path in databases if not os.path.isfile(path)]:
                raise InputError(
                    f"cell_values needs the databases; {len(missing):,} are {self._missing(missing[:3])}"
                    f"{', …' if len(missing) > 3 else ''}. {_ORIGIN}; or set config.task.options.cell_values=False"
                )
        return (*questions, schemas, *databases)

    def read(self, split: str) -> Iterator[Example]:
        """Ids are `<split>:<record>`, from 0, and `train_others:<record>`; the reference is the SQL as released."""
        paths = [path for path in self.files(split) if path.name.removesuffix(".gz") in FILE_NAMES[split]]
        schemas = self._schemas()
        count = 0
        for path in paths:
            prefix = "train_others" if path.name.startswith("train_others") else split
            for index, (line, record) in enumerate(read_spider(path)):
                question, query, name = (record[key] for key in ("question", "query", "db_id"))
                if name not in schemas:
                    raise InputError(
                        f"{path}:{line}: record {index}: database {name!r} is not in {self._find(SCHEMAS)}; "
                        "both files should be of one release"
                    )
                source = linearise(question, schemas[name], self._hints(question, name))
                yield Example(f"{prefix}:{index}", source, normalise(query), (query,), {"db_id": name})
                count += 1
        if count not in RELEASE_COUNTS[split]:
            expected = " or ".join(f"{number:,}" for number in RELEASE_COUNTS[split])
            logging.warning(
                "%s: not Spider's %s split: %s examples instead of %s; scores do not compare with published ones",
                ", ".join(map(str, paths)), split, f"{count:,}", expected,
            )  # fmt: skip

    def subsets(self, examples: Sequence[Example]) -> dict[str, list[int]]:
        """By the hardness of the gold. One that cannot be parsed has none (one of the 7,000 of training)."""
        subsets: dict[str, list[int]] = {hardness: [] for hardness in HARDNESSES}
        for index, example in enumerate(examples):
            if hardness := gold_hardness(example.references[0], self._schema(example.details["db_id"])):
                subsets[hardness].append(index)
        return subsets

    def _hints(self, question: str, name: str) -> Callable[[str, str], Sequence[str]]:
        if not self._cell_values:
            return lambda table, column: ()
        return lambda table, column: cell_hints(question, table, column, self._database(name))

    def _schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The entries of tables.json by database."""
        if self._loaded is None:
            path = self._find(SCHEMAS)
            if not path:
                raise InputError(f"{self._missing([SCHEMAS])} (or .json.gz). {_ORIGIN}")
            self._loaded = read_schemas(path)
        return self._loaded

    def _find(self, name: str) -> Path | None:
        return find_file(Path(self._data_dir), name) if self._data_dir else None

    def _database(self, name: str) -> Path:
        return Path(self._data_dir or ".") / "database" / name / f"{name}.sqlite"

    def _missing(self, names: Sequence[str]) -> str:
        place = f"not in config.task.data_dir = {str(self._data_dir)!r}"
        return f"{place if self._data_dir else 'config.task.data_dir is unset'}: {', '.join(names)}"


_ORIGIN = (
    "They are in the spider.zip that yale-lily.github.io/spider links to; 'python -m ipt_jax.tasks.download spider "
    "--output_dir=data/spider' checks and unpacks it; then set config.task.data_dir (in the score command: --data_dir) "
    "to that folder"
)


def linearise(question: str, entry: Mapping[str, Any], hints: Callable[[str, str], Sequence[str]]) -> str:
    """UnifiedSKG's text of a question and its schema, an entry of tables.json; names in lower case, in file order.

    >>> entry = {"db_id": "pets", "table_names_original": ["Pets"],
    ...          "column_names_original": [[-1, "*"], [0, "PetID"], [0, "Kind"]]}
    >>> linearise("How many dogs?", entry, lambda table, column: ["dog"] if column == "Kind" else [])
    'How many dogs? | pets | pets : petid , kind ( dog )'

    Args:
      hints: the cells to name for a table and a column.
    """
    tables = entry["table_names_original"]
    columns: list[list[str]] = [[] for _ in tables]
    for index, column in entry["column_names_original"]:
        if index >= 0:
            cells = hints(tables[index], column)
            columns[index].append(f"{column.lower()} ( {' , '.join(cells)} )" if cells else column.lower())
    parts = [f"{table.lower()} : {' , '.join(names)}" for table, names in zip(tables, columns, strict=True)]
    return " | ".join([question.strip(), entry["db_id"], *parts]).strip()


def normalise(query: str) -> str:
    """UnifiedSKG's target: lower case where no quote is near, single spaces, none before a comma.

    >>> normalise("SELECT Name ,  Age FROM T WHERE City  =  'New York'")
    "select name, age from t where city = 'New York'"
    """
    text = _UNQUOTED_WORD.sub(lambda word: word.group().lower(), query)
    return " ".join(text.split()).replace(" , ", ", ")


def read_spider(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Streams a list of `{"question", "query", "db_id"}` with lines; other keys are passed over.

    Raises:
      InputError: with file, line and record.
    """
    for index, (line, record) in enumerate(read_json_list(path)):
        for key in ("question", "query", "db_id"):
            if not isinstance(record.get(key), str):
                raise InputError(f"{path}:{line}: record {index}: {key!r} should be a text")
        yield line, record


def read_schemas(path: Path) -> dict[str, Mapping[str, Any]]:
    """The entries of a tables.json by their `db_id`.

    Raises:
      InputError: with file, line and record.
    """
    schemas = {}
    for index, (line, entry) in enumerate(read_json_list(path)):
        if problem := _problem(entry):
            raise InputError(f"{path}:{line}: record {index}: {problem}")
        schemas[entry["db_id"]] = entry
    return schemas


def _problem(entry: Mapping[str, Any]) -> str | None:
    """What is wrong with an entry of tables.json, if anything."""
    name, tables, columns, keys = (
        entry.get(key) for key in ("db_id", "table_names_original", "column_names_original", "foreign_keys")
    )
    # The name of a database becomes a part of a path.
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        return "'db_id' should be the name of a folder"
    if not isinstance(tables, list) or not all(isinstance(table, str) for table in tables):
        return "'table_names_original' should be a list of texts"
    if not isinstance(columns, list) or not all(_is_pair(pair, range(-1, len(tables)), str) for pair in columns):
        return "'column_names_original' should be a list of pairs of a table's index and a text"
    if not isinstance(keys, list) or not all(_is_pair(pair, range(len(columns)), int) for pair in keys):
        return "'foreign_keys' should be a list of pairs of columns' indices"
    return None


def _is_pair(value: Any, indices: range, kind: type) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and type(value[0]) is int  # a float or a truth value may be equal to an index and is none
        and value[0] in indices
        and type(value[1]) is kind
        and (kind is str or value[1] in indices)
    )
