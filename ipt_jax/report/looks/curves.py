"""The curves of training: loss, dev loss, and dev loss by learning rate."""

from collections.abc import Iterator, Sequence

from ipt_jax.report.drawing.colours import colour, colours
from ipt_jax.report.drawing.figures import Axes, Figure
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import spread

SMOOTHING_HALF_LIFE = 5  # logged rows
_LINE_STYLES = ("solid", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def training_curves(setting: Setting, prefix: str = "") -> list[Figure]:
    """The training loss, smoothed, and the dev loss of the setting's trained runs; [] when nothing was trained.

    Args:
      prefix: begins the ids inside the inline SVG, because all figures of a page share one name space.
    """
    figures = []
    if methods := _with_curve(setting, "loss"):
        axes = Axes("Training loss", f"{prefix}training_loss")
        for shade, style, label, run in _lines(setting, methods):
            steps, losses = curve(run, "loss")
            axes.plot(steps, losses, color=shade, linewidth=0.6, alpha=0.25)
            axes.plot(steps, smooth(losses), color=shade, linestyle=style, label=label)
        caption = (
            "Training loss per target token, faint as logged, strong as a moving average "
            f"with a half-life of {SMOOTHING_HALF_LIFE} logged rows.{_seeds(methods)}"
        )
        figures.append(axes.figure("training_loss", caption))
    if methods := _with_curve(setting, "dev_loss"):
        axes = Axes("Loss on the dev split", f"{prefix}dev_loss")
        for shade, style, label, run in _lines(setting, methods):
            steps, losses = curve(run, "dev_loss")
            axes.plot(steps, losses, color=shade, linestyle=style, label=label, marker="o")
        caption = f"Loss on the dev split; the prompt with the lowest one is kept.{_seeds(methods)}"
        figures.append(axes.figure("dev_loss", caption))
    return figures


def search_curve(setting: Setting, prefix: str = "") -> Figure | None:
    """The best dev loss against the learning rate of each search of the setting; None without any.

    Args:
      prefix: as of `training_curves`.
    """
    if not setting.searches:
        return None
    axes = Axes("Best loss on the dev split", f"{prefix}learning_rate", "Learning rate")
    axes.log_scale([candidate.rate for search in setting.searches for candidate in search.candidates])
    shades = colours(setting)
    for search in setting.searches:
        shade = shades.get(search.label) or colour(Method(search.label, search.runs))
        points = [(candidate.rate, loss) for candidate in search.candidates for loss in candidate.losses()]
        means = [(each.rate, spread(each.losses()).mean) for each in search.candidates if each.losses()]
        axes.plot(*zip(*points, strict=True), color=shade, linestyle="none", marker="o", alpha=0.5)
        axes.plot(*zip(*means, strict=True), color=shade, label=search.label)
        if chosen := search.chosen:
            ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
            axes.plot([chosen.rate], [chosen.loss.mean], color=shade, linestyle="none", **ring)
        axes.mark_above([each.rate for each in search.candidates if each.failed], color=shade)
    failed = any(candidate.failed for search in setting.searches for candidate in search.candidates)
    caption = (
        "Best loss on the dev split against the learning rate: a point is a seed, the line their mean, the ring the "
        f"chosen rate.{' A cross: a run whose loss stopped being finite.' if failed else ''}"
    )
    return axes.figure("learning_rate", caption)


def curve(run: Run, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of the metric rows that have this key, in the order of their steps.

    A run that was killed and went on from a checkpoint logs some steps twice; the later row counts.
    """
    values = {row["step"]: row[key] for row in run.metrics if row.get(key) is not None}
    steps = sorted(values)
    return steps, [values[step] for step in steps]


def smooth(values: Sequence[float], half_life: float = SMOOTHING_HALF_LIFE) -> list[float]:
    """Exponential moving average, without the pull of a made-up start value.

    A value `half_life` rows ago has half the weight of the present one. A constant stays what it is:

        >>> smooth([2.0, 2.0, 2.0])
        [2.0, 2.0, 2.0]
    """
    keep = 0.5 ** (1 / half_life)
    total = weight = 0.0
    averages = []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        averages.append(total / weight)
    return averages


def _with_curve(setting: Setting, key: str) -> list[Method]:
    return [method for method in setting.methods if any(curve(run, key)[0] for run in method.runs)]


def _lines(setting: Setting, methods: list[Method]) -> Iterator[tuple[str, object, str | None, Run]]:
    """Colour, line style, legend entry and run of each line: a colour per method, a line style per seed."""
    shades = colours(setting)
    for method in methods:
        for j, run in enumerate(method.runs):
            label = method.label if j == 0 else None
            yield shades[method.label], _LINE_STYLES[j % len(_LINE_STYLES)], label, run


def _seeds(methods: list[Method]) -> str:
    return " Line styles tell the seeds apart." if any(len(method.runs) > 1 for method in methods) else ""
