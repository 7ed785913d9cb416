"""What the report says of the prompts themselves: what each one looks like, and which seem not to have learned."""

from collections.abc import Mapping
from typing import Any

from ipt_jax.report.reading.methods import Setting
from ipt_jax.tables import Table

_WORDS_SHOWN = 12


def prompts(setting: Setting) -> Table | None:
    """Length of each trained prompt's rows, how far they moved, and the word nearest to each; None without any."""
    rows = []
    for method in setting.methods:
        for run in method.runs:
            nearest = run.training.get("nearest_words")
            if nearest:
                rows.append([method.label, str(run.seed), *_looks(run.training), _words(nearest)])
    header = ["Method", "Seed", "Row length", "Moved by", "Mean cosine", "Nearest word of each row"]
    return Table(header, rows) if rows else None


def complaints(setting: Setting) -> list[str]:
    """A sentence for each run that seems not to have learned."""
    return [
        f"{method.run_label(run)}: {run.training['complaint']}."
        for method in setting.all_methods
        for run in method.runs
        if run.training.get("complaint")
    ]


def _looks(training: Mapping[str, Any]) -> list[str]:
    cosines = [row["cosine"] for row in training["nearest_words"]]
    sizes = [training.get("prompt_norm"), training.get("prompt_moved"), sum(cosines) / len(cosines)]
    return ["–" if value is None else f"{value:.3f}" for value in sizes]


def _words(nearest: list[Mapping[str, Any]]) -> str:
    """Words as they are spelled, between bars because many begin with a space."""
    words = "|".join(str(row["word"]).replace("\n", "↵") for row in nearest[:_WORDS_SHOWN])
    return f"|{words}|" + (f" and {len(nearest) - _WORDS_SHOWN} more" if len(nearest) > _WORDS_SHOWN else "")
