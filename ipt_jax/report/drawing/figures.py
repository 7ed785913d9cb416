"""Figures in the report's style, drawn once for paper (PNG, SVG) and for the page (inline SVG)."""

import html
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ipt_jax.workdir.json_files import write_bytes, write_text

_ABOVE, _BELOW = "#3f83c9", "#d9781f"  # zero
TEXT = "#7a7a7a"  # the inline version replaces it by the page's text colour
_MOST_TICKS = 8
_LEFT = 0.62  # inches left of the axes, for numbers
_SIZE = (4.0, 2.8)  # inches: so narrow that text keeps its size on a telephone
_LEGEND_WIDTH = 46  # characters of a line in the legend, which fit in one column


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
        write_text(folder / f"{prefix}{self.name}.svg", self.svg)
        write_bytes(folder / f"{prefix}{self.name}.png", self.png)


class Axes:
    """One pair of axes in the report's style; no pyplot, so neither a display nor global state."""

    def __init__(self, title: str, id_prefix: str, x_label: str = "Step"):
        from matplotlib.figure import Figure as Canvas

        self._title, self._prefix, self._left, self._height = title, id_prefix, _LEFT, _SIZE[1]
        with self._style():
            self._canvas = Canvas(figsize=_SIZE)
            self._axes = self._canvas.add_subplot()
            self._axes.set_xlabel(x_label)
            self._axes.set_title(title, loc="left", fontsize=10)
            self._axes.grid(axis="y", color=TEXT, alpha=0.2, linewidth=0.6)

    def plot(self, places: Sequence[float], values: Sequence[float], **line) -> None:
        self._axes.plot(places, values, **{"linewidth": 1.5, "markersize": 3} | line)  # takes nothing from the style

    def band(self, places: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> None:
        with self._style():
            self._axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)

    def level(self, value: float, label: str) -> None:
        """A horizontal line across."""
        with self._style():
            self._axes.axhline(value, color=TEXT, linewidth=1.2, linestyle=(0, (4, 2)), label=label)

    def cells(self, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]]) -> None:
        """A table of signed numbers, tinted by side and size; what is None stays empty."""
        most = max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
        with self._style():
            for y, row in enumerate(values):
                for x, value in enumerate(row):
                    if value is None:
                        continue
                    tint = _ABOVE if value >= 0 else _BELOW
                    area = {"facecolor": tint, "alpha": 0.06 + 0.3 * abs(value) / most, "linewidth": 0}
                    self._axes.add_patch(_rectangle((x - 0.5, y - 0.5), **area))
                    number = f"{value:+.1f}".replace("-", "\u2212")  # the sign says what the tint says
                    self._axes.text(x, y, number, ha="center", va="center", color=TEXT)
            self._axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
            self._left = 0.45 + 0.075 * max(map(len, rows))
            self._axes.set_xticks(range(len(columns)), columns)
            self._axes.set_yticks(range(len(rows)), rows)
            self._axes.tick_params(length=0)
            self._axes.grid(visible=False)
            for side in ("left", "bottom"):
                self._axes.spines[side].set_visible(False)

    def rows(self, titles: Sequence[tuple[str, str]], height: float) -> None:
        """Rows of the given height, in inches, from the top: the n-th at y = n, with a name and a value above it."""
        self._left, self._height = 0.12, height * len(titles) + 0.9
        with self._style():
            self._axes.set_ylim(len(titles) - 0.65, -0.65)
            self._axes.set_yticks([])
            self._axes.spines["left"].set_visible(False)
            self._axes.grid(visible=False)
            self._axes.grid(axis="x", color=TEXT, alpha=0.2, linewidth=0.6)
            for row, (name, value) in enumerate(titles):
                above = {"transform": self._axes.get_yaxis_transform(), "va": "center", "in_layout": False}
                self._axes.text(0.0, row - 0.38, name, ha="left", **above)
                self._axes.text(1.0, row - 0.38, value, ha="right", **above)
                if row:
                    self._axes.axhline(row - 0.65, color=TEXT, alpha=0.2, linewidth=0.6)

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
        width, height = _SIZE[0], self._height
        columns = int((width - 0.6) / (0.5 + 0.062 * max(map(len, names), default=0))) or 1
        rows = sum(name.count("\n") + 1 for name in names) if columns == 1 else -(-len(names) // columns)
        legend, below = 0.17 * rows, 0.7 if self._axes.get_xlabel() else 0.45
        height += legend
        self._canvas.set_size_inches(width, height)
        self._canvas.subplots_adjust(
            left=self._left / width, right=1 - 0.12 / width, top=1 - 0.3 / height, bottom=(legend + below) / height
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
        return matplotlib.rc_context(settings | dict.fromkeys(coloured, TEXT))


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
    return svg.replace(TEXT, "currentColor")
