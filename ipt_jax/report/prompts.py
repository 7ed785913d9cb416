"""What the report says of the prompts themselves: which run of a search was chosen, and what each prompt looks like."""

from collections.abc import Mapping
from typing import Any

from ipt_jax.report.collect import Run, Setting, method_identity
from ipt_jax.report.tables import Table

_WORDS_SHOWN = 12


def choices(setting: Setting) -> Table | None:
    """Runs that differ in their learning rate alone, with the one of the lowest dev loss marked; None without any.

    The choice is made for every method and seed by itself, on the dev split, whatever the test scores are.
    """
    searches: dict[tuple, list[Run]] = {}
    for method in setting.methods:
        for run in method.runs:
            if _training(run).get("learning_rate") is not None:
                searches.setdefault((_without_rate(run), run.seed), []).append(run)
    rows = []
    for runs in searches.values():
        if len(runs) == 1:
            continue
        losses = [_training(run).get("best_dev_loss") for run in runs]
        best = min((loss for loss in losses if loss is not None), default=None)
        for run, loss in sorted(zip(runs, losses, strict=True), key=lambda pair: _training(pair[0])["learning_rate"]):
            training = _training(run)
            rows.append(
                [
                    str(run.result["method"]),
                    str(run.seed),
                    f"{training['learning_rate']:g}",
                    "–" if loss is None else f"{loss:.4f}",
                    str(training.get("best_step", "–")),
                    f"{run.result['score']:.2f}",
                    "chosen" if loss is not None and loss == best else "",
                ]
            )
    header = ["Method", "Seed", "Learning rate", "Best dev loss", "Best step", "Score", "Choice"]
    return Table(header, rows) if rows else None


def prompts(setting: Setting) -> Table | None:
    """Length of each trained prompt's rows, how far they moved, and the word nearest to each; None without any."""
    rows = []
    for method in setting.methods:
        for run in method.runs:
            nearest = _training(run).get("nearest_words")
            if nearest:
                rows.append([method.label, str(run.seed), *_looks(_training(run)), _words(nearest)])
    header = ["Method", "Seed", "Row length", "Moved by", "Mean cosine", "Nearest word of each row"]
    return Table(header, rows) if rows else None


def complaints(setting: Setting) -> list[str]:
    """A sentence for each run that seems not to have learned."""
    return [
        f"{method.run_label(run)}: {_training(run)['complaint']}."
        for method in setting.methods
        for run in method.runs
        if _training(run).get("complaint")
    ]


def _training(run: Run) -> Mapping[str, Any]:
    return run.result.get("training") or {}


def _without_rate(run: Run) -> tuple:
    """What runs of one search share: all that makes a method, except the learning rate."""
    leaves = {key: value for key, value in method_identity(run).items() if key.rpartition(".")[2] != "learning_rate"}
    return tuple(sorted((key, repr(value)) for key, value in leaves.items()))


def _looks(training: Mapping[str, Any]) -> list[str]:
    cosines = [row["cosine"] for row in training["nearest_words"]]
    sizes = [training.get("prompt_norm"), training.get("prompt_moved"), sum(cosines) / len(cosines)]
    return ["–" if value is None else f"{value:.3f}" for value in sizes]


def _words(nearest: list[Mapping[str, Any]]) -> str:
    """Words as they are spelled, between bars because many begin with a space."""
    words = "|".join(str(row["word"]).replace("\n", "↵") for row in nearest[:_WORDS_SHOWN])
    return f"|{words}|" + (f" and {len(nearest) - _WORDS_SHOWN} more" if len(nearest) > _WORDS_SHOWN else "")
