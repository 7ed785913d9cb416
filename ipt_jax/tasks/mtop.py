"""MTOP in English, from utterances to bracketed parses (Li et al. 2021): reads the released text, tokenises, scores."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.metrics.mtop_match import MTOP_MATCHES, read_parse
from ipt_jax.tasks.base import Example, check_split
from ipt_jax.tasks.mtop_intents import INTENT_LIST
from ipt_jax.tasks.reading import find_file, read_json_lines, read_lines

TEXT_NAMES = {"train": "train.txt", "dev": "eval.txt", "test": "test.txt"}
_TEXT_FOLDERS = (".", "en", "mtop/en")  # As unzipped, or any folder on the way.

# The JSON Lines copies: file → what its ids begin with. Public ones of the test split are parts of it, the first
# of them its first thousand rows.
JSON_LINES_NAMES = {
    "train": {"en_train.jsonl": "train"},
    "dev": {"en_eval.jsonl": "dev"},
    "test": {"en_test_first1000.jsonl": "test", "en_test_extra948_tokenised.jsonl": "test_extra948"},
}
RELEASE_COUNTS = {"train": 15_667, "dev": 2_235, "test": 4_386}

_COLUMNS = 8  # id, intent, slots, utterance, domain, locale, parse, tokens
_UTTERANCE, _PARSE, _TOKENS = 3, 6, 7

_TOKEN = re.compile(
    r"(?<=[^\W\d_])['’]s\b"  # Mom|'s
    r"|(?<![\w.])\d+(?=[ap]m(?!\.?\w))"  # 6|am, but not 6h35, 8.15am or 10amPT
    r"|[^\W_]+(?:(?:\.|['’](?!s\b))[^\W_]+)*"  # words and numbers, with O.J, 100.3, can't
    r"|\S",
    re.IGNORECASE,
)


class Mtop:
    """The released `mtop/en/{train,eval,test}.txt` in `data_dir`, or JSON Lines of the same rows; plain or `.gz`.

    Published scores are of the dev split, which is the released eval. An input is the tokens joined by blanks.

    Options:
      intent_list: whether the list of all intents follows, as UnifiedSKG's constant knowledge; over 500 tokens.
    """

    name = "mtop"
    title = "MTOP"
    metrics = MTOP_MATCHES
    reader_version = 1

    def __init__(self, data_dir: str | os.PathLike[str] | None, *, intent_list: bool = False):
        self._data_dir = data_dir
        self._knowledge = f" {INTENT_LIST}" if intent_list else ""
        self.options: Mapping[str, Any] = {"intent_list": intent_list}

    def files(self, split: str) -> tuple[Path, ...]:
        if paths := self._find(check_split(split)):
            return paths
        missing = [TEXT_NAMES[name] for name in TEXT_NAMES if not self._find(name)]
        place = f"not in config.task.data_dir = {str(self._data_dir)!r}"
        raise InputError(
            f"{place if self._data_dir else 'config.task.data_dir is unset'}: {', '.join(missing)} (or .txt.gz). They "
            "come from the folder mtop/en of the archive at fb.me/mtop_dataset; where the network allows it, get them "
            "with 'python -m ipt_jax.tasks.download mtop --output_dir=data/mtop' and set config.task.data_dir (in the "
            "score command: --data_dir) to that folder"
        )

    def _find(self, split: str) -> tuple[Path, ...]:
        if not self._data_dir:
            return ()
        folder = Path(self._data_dir)
        for place in _TEXT_FOLDERS:
            if path := find_file(folder / place, TEXT_NAMES[split]):
                return (path,)
        return tuple(path for name in JSON_LINES_NAMES[split] if (path := find_file(folder, name)))

    def read(self, split: str) -> Iterator[Example]:
        count = 0
        paths = self.files(split)
        for path in paths:
            prefix = JSON_LINES_NAMES[split].get(path.name.removesuffix(".gz"), split)
            for row, (tokens, parse) in enumerate(read_mtop(path)):
                count += 1
                yield Example(f"{prefix}:{row}", " ".join(tokens) + self._knowledge, parse, (parse,))
        if count != RELEASE_COUNTS[split]:
            logging.warning(
                "%s: not MTOP's whole English %s split: %s examples instead of %s; "
                "scores do not compare with published ones",
                ", ".join(map(str, paths)), split, f"{count:,}", f"{RELEASE_COUNTS[split]:,}",
            )  # fmt: skip


def read_mtop(path: Path) -> Iterator[tuple[list[str], str]]:
    """Streams the tokens and the parse of each row.

    Released text (`.txt`) has eight columns between tabs, the last one `{"tokens": [text, …], …}`. A JSON Lines
    row is `{"question", "logical_form"}`, with that column as `tokenized_question` or without it; then `tokenise`
    makes the tokens, except in a file named `…_tokenised`, whose questions have blanks between tokens already.

    Raises:
      InputError: with file and line.
    """
    name = path.name.removesuffix(".gz")
    rows = _text_rows(path) if name.endswith(".txt") else _json_rows(path)
    split = str.split if name.endswith("_tokenised.jsonl") else tokenise
    for line, utterance, parse, column in rows:
        if read_parse(parse) is None:
            raise InputError(f"{path}:{line}: {parse!r} should be one bracketed parse, '[IN:… ]'")
        yield split(utterance) if column is None else _tokens(path, line, column), parse


def tokenise(utterance: str) -> list[str]:
    """The tokens of an utterance, where the released ones are not at hand.

    Found from the release, whose tokeniser is not public: it makes the released tokens of each of the 1,000 rows
    that we could compare, and tokens that hold every word of the parse for all but one of train's and eval's rows.

        >>> tokenise("What's on Mom's list at 6am?")
        ['What', "'s", 'on', 'Mom', "'s", 'list', 'at', '6', 'am', '?']
    """
    return _TOKEN.findall(utterance)


def _text_rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """Line, utterance, parse and tokens column of a released text."""
    for line, text in read_lines(path):
        columns = text.split("\t")
        if len(columns) != _COLUMNS:
            raise InputError(f"{path}:{line}: {len(columns)} columns between tabs; MTOP has {_COLUMNS}")
        yield line, columns[_UTTERANCE], columns[_PARSE], columns[_TOKENS]


def _json_rows(path: Path) -> Iterator[tuple[int, str, str, str | None]]:
    for line, record in read_json_lines(path):
        utterance, parse = record.get("question"), record.get("logical_form")
        column = record.get("tokenized_question")
        if not isinstance(utterance, str) or not isinstance(parse, str) or not isinstance(column, str | None):
            raise InputError(
                f"{path}:{line}: a row should have the texts 'question' and 'logical_form'; 'tokenized_question' is a "
                "text too where it is there"
            )
        yield line, utterance, parse, column


def _tokens(path: Path, line: int, column: str) -> list[str]:
    try:
        tokens = json.loads(column)["tokens"]
    except (json.JSONDecodeError, KeyError, TypeError):
        tokens = None
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{path}:{line}: the tokens should be JSON '{{\"tokens\": [text, …]}}', not {column!r}")
    return tokens
