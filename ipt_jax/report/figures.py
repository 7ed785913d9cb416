"""The curves of a setting, drawn once for paper (PNG, SVG) and for the page (inline SVG)."""

import html
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ipt_jax.report.collect import Method, Setting
from ipt_jax.report.runs import Run
from ipt_jax.report.statistics import spread

SMOOTHING_HALF_LIFE = 5  # logged rows

# Read on white as on near-black, and told apart with the common colour deficiencies.
COLOURS = ("#3f83c9", "#d9781f", "#2f9a74", "#a566b8", "#c8524f", "#8a8a2a")
_LINE_STYLES = ("solid", (0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_TEXT = "#7a7a7a"  # the inline version replaces it by the page's text colour
_MOST_TICKS = 8
_LEFT = 0.62  # inches left of the axes, for numbers
_SIZE = (4.8, 3.1)  # inches; at about this width text keeps its size in the page
_LEGEND_WIDTH = 56  # characters of a line in the legend, which fit in one column


@dataclass(frozen=True)
class Figure:
    """One drawn figure.

    Attributes:
      name: file name without its ending, such as `training_loss`.
      caption: what it shows, as one sentence.
      inline: an <svg> element for a page, without fixed size and coloured by the page.
      svg, png: standalone files with a transparent background.
    """

    name: str
    caption: str
    inline: str
    svg: str
    png: bytes

    def save(self, folder: Path, prefix: str = "") -> None:
        (folder / f"{prefix}{self.name}.svg").write_text(self.svg, encoding="utf-8")
        (folder / f"{prefix}{self.name}.png").write_bytes(self.png)


def training_curves(setting: Setting, prefix: str = "") -> list[Figure]:
    """The training loss, smoothed, and the dev loss of the setting's trained runs; [] when nothing was trained.

    Args:
      prefix: begins the ids inside the inline SVG, because all figures of a page share one name space.
    """
    figures = []
    if methods := _with_curve(setting, "loss"):
        axes = Axes("Training loss", f"{prefix}training_loss")
        for colour, style, label, run in _lines(methods):
            steps, losses = curve(run, "loss")
            axes.plot(steps, losses, color=colour, linewidth=0.6, alpha=0.25)
            axes.plot(steps, smooth(losses), color=colour, linestyle=style, label=label)
        caption = (
            "Training loss per target token, faint as logged, strong as a moving average "
            f"with a half-life of {SMOOTHING_HALF_LIFE} logged rows.{_seeds(methods)}"
        )
        figures.append(axes.figure("training_loss", caption))
    if methods := _with_curve(setting, "dev_loss"):
        axes = Axes("Loss on the dev split", f"{prefix}dev_loss")
        for colour, style, label, run in _lines(methods):
            steps, losses = curve(run, "dev_loss")
            axes.plot(steps, losses, color=colour, linestyle=style, label=label, marker="o")
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
    # A method keeps the colour that it has in the training curves.
    trained = [method.label for method in setting.methods if method.runs[0].trained]
    for i, search in enumerate(setting.searches):
        place = trained.index(search.label) if search.label in trained else len(trained) + i
        colour = COLOURS[place % len(COLOURS)]
        points = [(candidate.rate, loss) for candidate in search.candidates for loss in candidate.losses()]
        means = [(each.rate, spread(each.losses()).mean) for each in search.candidates if each.losses()]
        axes.plot(*zip(*points, strict=True), color=colour, linestyle="none", marker="o", alpha=0.5)
        axes.plot(*zip(*means, strict=True), color=colour, label=search.label)
        if chosen := search.chosen:
            ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
            axes.plot([chosen.rate], [chosen.loss.mean], color=colour, linestyle="none", **ring)
        axes.mark_above([each.rate for each in search.candidates if each.failed], color=colour)
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


def _lines(methods: list[Method]) -> Iterator[tuple[str, object, str | None, Run]]:
    """Colour, line style, legend entry and run of each line: a colour per method, a line style per seed."""
    for i, method in enumerate(methods):
        for j, run in enumerate(method.runs):
            label = method.label if j == 0 else None
            yield COLOURS[i % len(COLOURS)], _LINE_STYLES[j % len(_LINE_STYLES)], label, run


def _seeds(methods: list[Method]) -> str:
    return " Line styles tell the seeds apart." if any(len(method.runs) > 1 for method in methods) else ""


class Axes:
    """One pair of axes in the report's style; no pyplot, so neither a display nor global state."""

    def __init__(self, title: str, id_prefix: str, x_label: str = "Step"):
        from matplotlib.figure import Figure as Canvas

        self._title, self._prefix, self._left = title, id_prefix, _LEFT
        with self._style():
            self._canvas = Canvas(figsize=_SIZE)
            self._axes = self._canvas.add_subplot()
            self._axes.set_xlabel(x_label)
            self._axes.set_title(title, loc="left", fontsize=10)
            self._axes.grid(axis="y", color=_TEXT, alpha=0.2, linewidth=0.6)

    def plot(self, places: Sequence[float], values: Sequence[float], **line) -> None:
        self._axes.plot(places, values, **{"linewidth": 1.5, "markersize": 3} | line)  # takes nothing from the style

    def band(self, places: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> None:
        with self._style():
            self._axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)

    def level(self, value: float, label: str) -> None:
        """A horizontal line across."""
        with self._style():
            self._axes.axhline(value, color=_TEXT, linewidth=1.2, linestyle=(0, (4, 2)), label=label)

    def cells(self, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]]) -> None:
        """A table of signed numbers, tinted by side and size; what is None stays empty."""
        most = max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
        above, below = COLOURS[0], COLOURS[1]
        with self._style():
            for y, row in enumerate(values):
                for x, value in enumerate(row):
                    if value is None:
                        continue
                    tint = above if value >= 0 else below
                    area = {"facecolor": tint, "alpha": 0.08 + 0.5 * abs(value) / most, "linewidth": 0}
                    self._axes.add_patch(_rectangle((x - 0.5, y - 0.5), **area))
                    number = f"{value:+.1f}".replace("-", "\u2212")  # the sign says what the tint says
                    self._axes.text(x, y, number, ha="center", va="center", color=_TEXT)
            self._axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
            self._left = 0.45 + 0.075 * max(map(len, rows))
            self._axes.set_xticks(range(len(columns)), columns)
            self._axes.set_yticks(range(len(rows)), rows)
            self._axes.tick_params(length=0)
            self._axes.grid(visible=False)
            for side in ("left", "bottom"):
                self._axes.spines[side].set_visible(False)

    def label_y(self, text: str) -> None:
        with self._style():
            self._axes.set_ylabel(text)

    def name_places(self, places: Sequence[float], names: Sequence[str]) -> None:
        with self._style():
            self._axes.set_xticks(places, names)

    def log_scale(self, places: Sequence[float]) -> None:
        """A logarithmic x axis that names the places themselves, or every n-th where there are many."""
        ticks = sorted(set(places))
        ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
        with self._style():
            self._axes.set_xscale("log")
            self._axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            self._axes.set_xticks([], minor=True)

    def mark_above(self, places: Sequence[float], **mark) -> None:
        """A cross at the upper edge, whatever the values below."""
        with self._style():
            transform = self._axes.get_xaxis_transform()
            cross = {"marker": "x", "markersize": 6, "linestyle": "none", "clip_on": False}
            for line in self._axes.plot(places, [1.0] * len(places), transform=transform, **cross, **mark):
                line.set_in_layout(False)  # its place is in parts of the axes: no ground to move them

    def figure(self, name: str, caption: str) -> Figure:
        svg, png = io.BytesIO(), io.BytesIO()
        with self._style():
            self._lay_out()
            self._canvas.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
            self._canvas.savefig(png, format="png", transparent=True, dpi=200)
        text = svg.getvalue().decode()
        return Figure(name, caption, _inline(text, self._prefix, self._title), text, png.getvalue())

    def _lay_out(self) -> None:
        """Fixed margins, and the legend below the axes in room of its own, however many methods it names.

        Matplotlib's own layout and its search for the best place take three times as long as drawing.
        """
        lines, names = self._axes.get_legend_handles_labels()
        names = [textwrap.fill(name, _LEGEND_WIDTH) for name in names]
        width, height = _SIZE
        columns = int((width - 0.6) / (0.5 + 0.062 * max(map(len, names), default=0))) or 1
        rows = sum(name.count("\n") + 1 for name in names) if columns == 1 else -(-len(names) // columns)
        legend = 0.17 * rows
        height += legend
        self._canvas.set_size_inches(width, height)
        self._canvas.subplots_adjust(
            left=self._left / width, right=1 - 0.12 / width, top=1 - 0.3 / height, bottom=(legend + 0.7) / height
        )
        if names:
            place = {"loc": "lower left", "bbox_to_anchor": (0.4 / width, 0), "ncols": columns}
            self._canvas.legend(lines, names, **place, frameon=False, fontsize=8, borderaxespad=0.2)

    def _style(self):
        import matplotlib

        settings = {
            "svg.fonttype": "none",  # text stays text: it takes the page's font and can be searched
            "svg.hashsalt": self._prefix,  # the same runs give the same file
            "text.parse_math": False,
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
        coloured = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
        return matplotlib.rc_context(settings | dict.fromkeys(coloured, _TEXT))


def _rectangle(corner: tuple[float, float], **look):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1.0, 1.0, **look)


def _inline(svg: str, prefix: str, title: str) -> str:
    """A standalone SVG as an element of a page: no fixed size, no rules for the whole page, ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg role="img" viewBox="\1">', svg, count=1)
    svg = svg.replace('role="img"', f'role="img" aria-label="{html.escape(title)}"', 1)
    svg = svg.replace('xlink:href="#', 'href="#')
    for reference in ('id="', 'href="#', "url(#"):
        svg = svg.replace(reference, f"{reference}{prefix}-")
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    return svg.replace(_TEXT, "currentColor")
