"""Makes `real_lengths.csv`, the lengths of real rows that the training benchmark draws tokens for.

    python -m benchmarks.make_lengths --data_dir=DIR

DIR has the released files in DIR/dart, DIR/mtop and DIR/spider (`python -m ipt_jax.tasks.download`). Of each task's
training split `ROWS` examples are drawn by a fixed seed and laid out as a run lays them out, with SmolLM2's tokenizer:
alone for PT, and for IPT after the demonstration that BM25 finds for them in the whole training split. Lengths are all
that is kept: no text and no token of the data is in the file.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import TOKENIZER

FILE = Path(__file__).with_name("real_lengths.csv")
FIELDS = ("task", "target", "source", "shown_source")
TASKS = ("dart", "mtop", "spider")
ROWS = 512  # 64 batches of 8
BUDGET = 1024 - 150  # GPT-2's positions less the longest prompt: demonstrations that do not fit are left out


def lengths_of(examples: Sequence[Any], tokenizer: Any, chosen: Sequence[int]) -> list[tuple[int, int, int]]:
    """Tokens of each chosen example's target, of its source alone, and of that after its demonstration.

    Args:
      examples: of the training split, with id, input and target.
    """
    from ipt_jax.retrieval import Pool, bm25_neighbours
    from ipt_jax.rows.layout import Demonstration, Ends, Item, Layout, encode

    ids, inputs, targets = (list(examples[column]) for column in ("id", "input", "target"))
    queries = Pool([ids[i] for i in chosen], [inputs[i] for i in chosen], "train")
    nearest = bm25_neighbours(queries, Pool(ids, inputs, "train"), 1).indices[:, 0]
    found = []
    for own, other in zip(chosen, nearest, strict=True):
        shown = Demonstration(ids[other], inputs[other], targets[other])
        alone, after_one = (
            encode(
                Layout(overflow="truncate"),
                tokenizer,
                Item(ids[own], inputs[own], targets[own]),
                demonstrations,
                budget=BUDGET,
                ends=Ends(tokenizer.bos_id, tokenizer.eos_ids[0]),
            )
            for demonstrations in ([], [shown])
        )
        found.append((len(alone.tokens) - alone.source_length, alone.source_length, after_one.source_length))
    return found


def main() -> None:
    from ipt_jax.models import loading
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import load_split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True, help="a folder with a folder for each task")
    data_dir, tokenizer = parser.parse_args().data_dir, loading.outline(TOKENIZER).tokenizer
    lines: list[tuple[Any, ...]] = [FIELDS]
    with tempfile.TemporaryDirectory() as cache:
        for task in TASKS:
            examples = load_split(get_task(task, str(data_dir / task)), "train", cache_dir=cache)
            chosen = np.sort(np.random.RandomState(0).permutation(len(examples))[:ROWS]).tolist()
            lines += [(task, *lengths) for lengths in lengths_of(examples, tokenizer, chosen)]
    with FILE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
