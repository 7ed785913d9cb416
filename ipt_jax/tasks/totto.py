"""ToTTo, from highlighted cells to a sentence (Parikh et al. 2020): reads the official files, linearises, scores."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.metrics.bleu import BLEU_UNIFIEDSKG, SENTENCE_BLEU
from ipt_jax.metrics.chrf import CHRF2
from ipt_jax.metrics.rouge import ROUGE_L
from ipt_jax.metrics.totto.bleu import BLEU_TOTTO_OFFICIAL
from ipt_jax.metrics.totto.parent import PARENT, parent_table
from ipt_jax.tasks.base import Example, check_split
from ipt_jax.tasks.reading import find_file, read_json_lines

ARCHIVE = "totto_data.zip"
FOLDER = "totto_data"  # The archive's one folder.
FILE_NAMES = {"train": "totto_train_data.jsonl", "dev": "totto_dev_data.jsonl"}
RELEASE_COUNTS = {"train": 120_761, "dev": 7_700}

_OFFICIAL = (BLEU_TOTTO_OFFICIAL, *PARENT)  # what totto_eval.sh prints, of all and of the subsets
_TITLES = ("table_page_title", "table_section_title", "table_section_text")


class Totto:
    """The official release in `data_dir`: `.jsonl` or `.jsonl.gz` files, there or in `totto_data/`, or the zip.

    The zip is read as it is, without unpacking. The evaluated split is dev: the test split was released without
    sentences.
    """

    name = "totto"
    title = "ToTTo"
    metrics = (BLEU_UNIFIEDSKG, SENTENCE_BLEU, CHRF2, ROUGE_L, *_OFFICIAL)
    subset_metrics = tuple(metric.name for metric in _OFFICIAL)
    splits = ("train", "dev")
    groups = "page"
    reader_version = 1
    options: Mapping[str, Any] = {}

    def __init__(self, data_dir: str | os.PathLike[str] | None):
        self._data_dir = data_dir

    def files(self, split: str) -> tuple[Path | zipfile.Path, ...]:
        if check_split(split) == "test":
            raise InputError(
                "split = 'test': ToTTo's test split was released without sentences, so nothing can be scored on it; "
                "use 'dev', as the paper does: config.task.split='dev' (in the score command: --split=dev)"
            )
        folder = Path(self._data_dir or ".")
        places = [folder, folder / FOLDER, *_archive_folders(folder / ARCHIVE)] if self._data_dir else []
        for path in (find_file(place, FILE_NAMES[split]) for place in places):
            if path:
                return (path,)
        place = f"not in config.task.data_dir = {str(folder)!r}" if self._data_dir else "config.task.data_dir is unset"
        raise InputError(
            f"{place}: {FILE_NAMES[split]} (or .jsonl.gz, or {ARCHIVE}). It is in the {ARCHIVE} that "
            "github.com/google-research-datasets/ToTTo names; where the network allows it, get that with "
            "'python -m ipt_jax.tasks.download totto --output_dir=data/totto' and set config.task.data_dir "
            "(in the score command: --data_dir) to that folder"
        )

    def read(self, split: str) -> Iterator[Example]:
        (path,) = self.files(split)
        count = 0
        for example in read_totto(path, split):
            count += 1
            yield example
        if count != RELEASE_COUNTS[split]:
            logging.warning(
                "%s is not ToTTo's %s split: %s examples instead of %s; scores do not compare with published ones",
                path, split, f"{count:,}", f"{RELEASE_COUNTS[split]:,}",
            )  # fmt: skip

    def subsets(self, examples: Sequence[Example]) -> dict[str, list[int]]:
        """The overlap subset has the examples whose header names occur together in training."""
        kinds = [example.details["overlap"] for example in examples]
        return {
            name: [index for index, kind in enumerate(kinds) if kind is overlap]
            for name, overlap in (("overlap", True), ("nonoverlap", False))
        }


def _archive_folders(path: Path) -> tuple[zipfile.Path, ...]:
    """The folders of the released zip that may hold its files, for reading without unpacking."""
    if not path.is_file():
        return ()
    try:
        root = zipfile.Path(path)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: the archive is damaged or incomplete ({error}); fetch it again") from error
    return root, root / FOLDER


def linearise(record: Mapping[str, Any]) -> str:
    """UnifiedSKG's text of a record: the titles that are not empty, then each highlighted cell with its headers.

    Column headers of a cell are the header cells in all rows above it that share a column with it, from the top;
    row headers are those before it in its row. Columns are counted by `column_span` alone: a cell that spans rows
    does not push the rows below to the right, so headers there can be a column off, as they officially are.

    >>> film = {"value": "Film", "is_header": True, "column_span": 1}
    >>> up = {"value": "Up", "is_header": False, "column_span": 1}
    >>> linearise({"table": [[film], [up]], "highlighted_cells": [[1, 0]],
    ...            "table_page_title": "Jo", "table_section_title": ""})
    '<page_title> Jo </page_title> <table> <cell> Up <col_header> Film </col_header> </cell> </table>'
    """
    rows = record["table"]
    spans = [_column_spans(row) for row in rows]
    headers = [
        (index, *span, cell["value"])
        for index, row in enumerate(rows)
        for cell, span in zip(row, spans[index], strict=True)
        if cell["is_header"]
    ]
    parts = []
    if page := record["table_page_title"]:
        parts.append(f"<page_title> {page} </page_title>")
    if section := record["table_section_title"]:
        parts.append(f"<section_title> {section} </section_title>")
    parts.append("<table>")
    for row, column in record["highlighted_cells"]:
        start, end = spans[row][column]
        above = [text for index, first, last, text in headers if index < row and first < end and last > start]
        before = [cell["value"] for cell in rows[row][:column] if cell["is_header"]]
        parts.append(f"<cell> {rows[row][column]['value']}")
        parts += [f"<col_header> {text} </col_header>" for text in above]
        parts += [f"<row_header> {text} </row_header>" for text in before]
        parts.append("</cell>")
    return " ".join([*parts, "</table>"])


def _column_spans(row: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """For each cell its first column and the one after its last."""
    spans, start = [], 0
    for cell in row:
        spans.append((start, start + cell["column_span"]))
        start += cell["column_span"]
    return spans


def read_totto(path: Path | zipfile.Path, split: str) -> Iterator[Example]:
    """Streams a file in ToTTo's format: a JSON object per line.

    An example's id is `<split>:<index>`, from 0; its target the first sentence, its references all of them. Its
    details are `table` (see `parent_table`), `overlap` (is it in the overlap subset? None where the file does not
    say, as in training), `page` (its title) and the release's `example_id`, None where missing.

    Raises:
      InputError: with file and line.
    """
    for index, (line, record) in enumerate(read_json_lines(path)):
        if problem := _problem(record):
            raise InputError(f"{path}:{line}: {problem}")
        references = tuple(note["final_sentence"] for note in record["sentence_annotations"])
        details = {
            "table": parent_table(record),
            "overlap": record.get("overlap_subset"),
            "page": record["table_page_title"],
            "example_id": record.get("example_id"),
        }
        yield Example(f"{split}:{index}", linearise(record), references[0], references, details)


def _problem(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record, if anything."""
    for key in _TITLES:
        if not isinstance(record.get(key), str):
            return f"{key!r} should be a text"
    rows, notes = record.get("table"), record.get("sentence_annotations")
    if not (isinstance(rows, list) and all(isinstance(row, list) and all(map(_is_cell, row)) for row in rows)):
        return "'table' should be a list of rows of cells with 'value' (text), 'is_header' and 'column_span' (number)"
    places = record.get("highlighted_cells")
    if not (isinstance(places, list) and all(_is_place(place, rows) for place in places)):
        return "'highlighted_cells' should be a list of [row, column] that are in 'table'"
    if not (isinstance(notes, list) and notes and all(map(_is_note, notes))):
        return (
            "'sentence_annotations' should be a list of objects with a 'final_sentence'; "
            "the unlabelled test file has none and cannot be scored"
        )
    if not isinstance(record.get("overlap_subset"), bool | None):
        return "'overlap_subset' should be true or false"
    return None


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and isinstance(cell.get("value"), str)
        and isinstance(cell.get("is_header"), bool)
        and type(cell.get("column_span")) is int
    )


def _is_place(place: Any, rows: Sequence[Sequence[Any]]) -> bool:
    return (
        isinstance(place, list)
        and len(place) == 2
        and all(type(number) is int for number in place)
        and 0 <= place[0] < len(rows)
        and 0 <= place[1] < len(rows[place[0]])
    )


def _is_note(note: Any) -> bool:
    return isinstance(note, dict) and isinstance(note.get("final_sentence"), str)
