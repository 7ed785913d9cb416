"""The chart that answers: every method's score with its interval over examples, its seeds, and the paper's points."""

from __future__ import annotations

import textwrap

from ipt_jax.report.drawing.colours import colours
from ipt_jax.report.drawing.figures import TEXT, Axes, Figure
from ipt_jax.report.reading.methods import Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.paper import models_beside
from ipt_jax.report.reading.statistics import spread

_ROW = 0.42  # inches
_NAME_WIDTH = 44  # characters that fit above a row beside its score
_PAPER_MARKERS = ("D", "s", "^")


def score_chart(setting: Setting, prefix: str = "") -> Figure | None:
    """A row per method; None where there is nothing to compare.

    Args:
      prefix: begins the ids inside the inline SVG, because all figures of a page share one name space.
    """
    methods = setting.methods
    if len(methods) < 2:
        return None
    metric, shades = metric_title(setting, setting["metric"]), colours(setting)
    axes = Axes(metric, f"{prefix}scores", "")
    names = [textwrap.shorten(method.label, _NAME_WIDTH, placeholder=" …") for method in methods]
    axes.rows([(name, str(spread(method.scores))) for name, method in zip(names, methods, strict=True)], _ROW)
    for row, method in enumerate(methods):
        if method.interval:
            axes.plot(method.interval, [row, row], color=shades[method.label], linewidth=2)
        if len(method.scores) > 1:
            seeds = {"linestyle": "none", "marker": "|", "markersize": 9, "markeredgewidth": 1}
            axes.plot(method.scores, [row] * len(method.scores), color=shades[method.label], **seeds)
        axes.plot([spread(method.scores).mean], [row], color=shades[method.label], marker="o", markersize=7)
    beside = _paper_points(axes, setting)
    return axes.figure("scores", _caption(setting, metric, beside))


def _paper_points(axes: Axes, setting: Setting) -> bool:
    """Hollow marks for the paper's scores of these methods; whether there are any."""
    task, drawn = str(setting["task"]), False
    if not setting.of_the_paper:
        return drawn
    for marker, model in zip(_PAPER_MARKERS, models_beside(task, str(setting["model"])), strict=False):
        scores = [(row, setting.paper_score(model, method)) for row, method in enumerate(setting.methods)]
        scores = [(row, score) for row, score in scores if score]
        if not scores:
            continue
        hollow = {"linestyle": "none", "marker": marker, "markersize": 5, "markerfacecolor": "none"}
        rows, means = [row for row, _ in scores], [score.mean for _, score in scores]
        axes.plot(means, rows, color=TEXT, label=f"Paper, {model}", **hollow)
        drawn = True
    return drawn


def _caption(setting: Setting, metric: str, beside: bool) -> str:
    methods = setting.methods
    several = any(len(method.runs) > 1 for method in methods)
    said = [f"{metric[0].upper()}{metric[1:]} of each method on {setting.size}"]
    said.append(", the mean over its seeds; fine strokes are single seeds." if several else ".")
    if any(method.interval for method in methods):
        said.append(" Bars are 95 % intervals of a bootstrap over the examples")
        said.append(", for the seeds that were run." if several else ".")
    elif several:
        said.append(" Intervals over the examples could not be computed from these runs.")
    if beside:
        said.append(" Hollow marks are the paper's scores, with the language models named.")
    return "".join(said)
