"""Logic2Text, from logical forms to sentences (Chen et al. 2020): reads the official files, linearises, scores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from ipt_jax.errors import InputError
from ipt_jax.metrics.blec import BLEC
from ipt_jax.metrics.bleu import BLEU_SACREBLEU, SENTENCE_BLEU
from ipt_jax.metrics.chrf import CHRF2
from ipt_jax.metrics.multi_bleu import MULTI_BLEU
from ipt_jax.metrics.rouge import ROUGE_L
from ipt_jax.tasks.base import Example, check_split
from ipt_jax.tasks.reading import find_file, read_json_list

FILE_NAMES = {"train": "train.json", "dev": "valid.json", "test": "test.json"}
RELEASE_COUNTS = {"train": 8_566, "dev": 1_095, "test": 1_092}


class Logic2Text:
    """The official release in `data_dir`, as `.json` or `.json.gz` files (`.json` where both are there).

    Published scores are of the test split.

    Options:
      caption: whether the table's caption and headers follow the logical form, as in UnifiedSKG.
    """

    name = "logic2text"
    title = "Logic2Text"
    metrics = (BLEC, MULTI_BLEU, BLEU_SACREBLEU, SENTENCE_BLEU, CHRF2, ROUGE_L)
    groups = "topic"
    reader_version = 1

    def __init__(self, data_dir: str | os.PathLike[str] | None, *, caption: bool = True):
        self._data_dir = data_dir
        self._caption = caption
        self.options: Mapping[str, Any] = {"caption": caption}

    def files(self, split: str) -> tuple[Path, ...]:
        folder = Path(self._data_dir or ".")
        if self._data_dir and (path := find_file(folder, FILE_NAMES[check_split(split)])):
            return (path,)
        missing = [name for name in FILE_NAMES.values() if not (self._data_dir and find_file(folder, name))]
        place = f"not in config.task.data_dir = {str(folder)!r}" if self._data_dir else "config.task.data_dir is unset"
        raise InputError(
            f"{place}: {', '.join(missing)} (or .json.gz). They come from the folder dataset of "
            "github.com/czyssrs/Logic2Text; where the network allows it, get them with "
            "'python -m ipt_jax.tasks.download logic2text --output_dir=data/logic2text' and set "
            "config.task.data_dir (in the score command: --data_dir) to that folder"
        )

    def read(self, split: str) -> Iterator[Example]:
        (path,) = self.files(split)
        count = 0
        for example in read_logic2text(path, split, caption=self._caption):
            count += 1
            yield example
        if count != RELEASE_COUNTS[split]:
            logging.warning(
                "%s is not Logic2Text's %s split: %s examples instead of %s; scores do not compare with published ones",
                path, split, f"{count:,}", f"{RELEASE_COUNTS[split]:,}",
            )  # fmt: skip


def linearise(logic_form: str, caption: str, headers: Sequence[str]) -> str:
    """UnifiedSKG's text of a logical form, and its text of the table that the form is about.

    >>> linearise("eq { count { all_rows } ; 2 } = true", "2009 league", ["nation", "won"])
    'eq { count { all_rows } ; 2 } = true Caption: 2009 league | nation, won'
    """
    return f"{logic_form} Caption: {caption} | {', '.join(headers)}"


def read_logic2text(path: Path, split: str, *, caption: bool) -> Iterator[Example]:
    """Streams a list of `{"logic_str", "sent", "topic", "table_header": [text, …]}`; other keys are passed over.

    An example's id is `<split>:<record>`, counted from 0; its one reference is the sentence, and its details hold
    `logic_form`, which BLEC reads, and `topic`, the caption of the table.

    Raises:
      InputError: with file, line and record.
    """
    for index, (line, record) in enumerate(read_json_list(path)):
        for key in ("logic_str", "sent", "topic"):
            if not isinstance(record.get(key), str):
                raise InputError(f"{path}:{line}: record {index}: {key!r} should be a text")
        headers = record.get("table_header")
        if not isinstance(headers, list) or not all(isinstance(header, str) for header in headers):
            raise InputError(f"{path}:{line}: record {index}: 'table_header' should be a list of texts")
        form, sentence = record["logic_str"], record["sent"]
        source = linearise(form, record["topic"], headers) if caption else form
        yield Example(f"{split}:{index}", source, sentence, (sentence,), {"logic_form": form, "topic": record["topic"]})
