"""The paper's own numbers, to stand beside ours. `paper_numbers.json` says where they come from."""

import functools
import json
from importlib import resources
from typing import Any

from ipt_jax.report.reading.kinds import IPT, PT, RANDOM_ONE_SHOT, RETRIEVED_ONE_SHOT, RETRIEVED_THREE_SHOT, Kind
from ipt_jax.report.reading.statistics import Spread

MAIN_TABLE_ROWS = 25  # prompt rows of its main table

# What its tables call the kinds of methods.
_NAMES = {
    "ICL, random one-shot": RANDOM_ONE_SHOT,
    "ICL, retrieved one-shot": RETRIEVED_ONE_SHOT,
    "ICL, retrieved three-shot": RETRIEVED_THREE_SHOT,
    "PT": PT,
    "IPT": IPT,
}

# What the names of language models hold that the paper has numbers of.
_MODELS = {"BLOOM-1.1B": "bloom-1b1", "OPT-1.3B": "opt-1.3b", "GPT-2-XL": "gpt2-xl"}


@functools.cache
def paper_numbers() -> dict[str, Any]:
    """`source`, `main_table`, `prompt_length` and `similarity`; tasks and methods have the names that ours have."""
    return json.loads(resources.files("ipt_jax.report").joinpath("paper_numbers.json").read_text(encoding="utf-8"))


def paper_tasks() -> set[str]:
    """The tasks of its main table, by the names that ours have."""
    tables = paper_numbers()["main_table"].values()
    return {task for methods in tables for scores in methods.values() for task in scores}


def models_beside(task: str, model: str) -> list[str]:
    """The paper's language models to show beside ours: the same one, or where it has none of that name, all three.

    None for a task that is not the paper's.
    """
    table = paper_numbers()["main_table"]
    tried = [name for name, methods in table.items() if any(task in scores for scores in methods.values())]
    same = [name for name in tried if _MODELS[name] in model.lower()]
    return same or tried


def paper_kinds(paper_model: str) -> list[Kind]:
    """The kinds of methods that the paper's main table has of one of its language models."""
    return [_NAMES[name] for name in paper_numbers()["main_table"][paper_model]]


def paper_score(paper_model: str, kind: Kind, task: str) -> Spread | None:
    """Mean and standard deviation in the paper's main table; it does not say over how many runs."""
    rows = paper_numbers()["main_table"][paper_model].items()
    score = next((scores.get(task) for name, scores in rows if _NAMES[name] == kind), None)
    return None if score is None else Spread(score[0], score[1] if len(score) > 1 else None, 0)
