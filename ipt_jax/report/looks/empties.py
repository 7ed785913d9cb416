"""Empty answers: which methods have many, and what to say of them before any method is called better."""

from __future__ import annotations

from ipt_jax.report.reading.methods import Method, Setting

MARK = "†"
_MANY = 0.05  # of the answers: fewer are no reason to doubt a comparison, and stand in the table of conditions


def many_empty(method: Method) -> bool:
    """Whether at least one in twenty answers is empty."""
    return bool(method.empty) and method.empty >= _MANY * sum(run.answers for run in method.runs)


def marked(method: Method) -> str:
    """The method's label, with a mark where many of its answers are empty."""
    return f"{method.label} {MARK}" if many_empty(method) else method.label


def cautions(setting: Setting) -> list[str]:
    """A sentence for each method of the setting with many empty answers."""
    return [_sentence(method) for method in setting.methods if many_empty(method)]


def _sentence(method: Method) -> str:
    answers, seeds = sum(run.answers for run in method.runs), len(method.runs)
    over = f" over {seeds} seeds" if seeds > 1 else ""
    return f"{method.empty:,} of {answers:,} answers of {method.label} are empty{over}."
