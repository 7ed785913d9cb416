"""Tables as aligned text, Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.errors import shown


@dataclass(frozen=True)
class Table:
    """The cells of a table: the first column is text, then come `scores` columns of scores, then numbers."""

    header: list[str]
    rows: list[list[str]]
    scores: int = 0

    @property
    def deviates(self) -> bool:
        """Whether any score has a deviation behind it, which needs room."""
        return any(" ± " in cell for row in self.rows for cell in row[1 : self.scores + 1])


def text_block(headings: Sequence[str], content: Table, notes: Sequence[str]) -> str:
    """A table as aligned plain text between lines of headings and of notes."""
    content = Table([shown(cell) for cell in content.header], [list(map(shown, row)) for row in content.rows])
    headings, notes = map(shown, headings), map(shown, notes)
    # Scores are aligned at their means: one without a deviation leaves the room for it.
    columns = [_padded(column) for column in zip(*content.rows, strict=True)] or [[] for _ in content.header]
    columns = [(title, *column) for title, column in zip(content.header, columns, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    header, *rows = zip(*columns, strict=True)
    lines = [_aligned(row, widths) for row in [header, ["-" * width for width in widths], *rows]]
    return "\n".join([*headings, "", *lines, "", *notes])


def markdown_block(title: str, content: Table, notes: Sequence[str], before: Sequence[str] = ()) -> str:
    """A table under its heading, with paragraphs before it and a list of notes behind."""
    lines = [content.header, ["---", *["---:"] * (len(content.header) - 1)], *content.rows]
    rows = ["| " + " | ".join(_escape(cell, _MARKDOWN) for cell in line) + " |" for line in lines]
    items = [f"- {_escape(note, _MARKDOWN)}" for note in notes]
    said = [line for text in before for line in (_escape(text, _MARKDOWN), "")]
    return "\n".join([f"## {_escape(title, _MARKDOWN)}", "", *said, *rows, "", *items])


def latex_block(title: str, content: Table, notes: Sequence[str], before: Sequence[str] = ()) -> str:
    """A `table` environment with a label: the best of each column of scores in bold, notes in small print below it,
    and what is to be said before it in its caption.

    It needs the package booktabs, and nothing else.
    """
    best = [_best(content, column) for column in range(len(content.header))]
    lines = [" & ".join(_escape(cell, _LATEX) for cell in content.header) + r" \\"]
    for row in content.rows:
        cells = [_in_latex(cell, bold=cell in best[column]) for column, cell in enumerate(row)]
        lines.append(" & ".join(cells) + r" \\")
    label = re.sub(r"[^a-z0-9]+", "-", shown(title).lower()).strip("-")
    below = [rf"\par {_escape(note, _LATEX)}" for note in notes]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{' '.join(_escape(text, _LATEX) for text in [f'{title}.', *before])}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(content.header) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            *(
                [r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright", *below, r"\end{minipage}"]
                if below
                else []
            ),
            r"\end{table}",
        ]
    )


def _best(content: Table, column: int) -> set[str]:
    """The cells with the highest mean of a column of scores; none of other columns, or where all are alike."""
    if not 1 <= column <= content.scores:
        return set()
    means = {}
    for row in content.rows:
        found = _SCORE.fullmatch(row[column])
        if found and not row[0].startswith("Paper"):
            means[row[column]] = float(found["mean"].replace("\u2212", "-"))
    highest = max(means.values(), default=0.0)
    return {cell for cell, mean in means.items() if mean == highest} if len(set(means.values())) > 1 else set()


def _in_latex(cell: str, bold: bool) -> str:
    text = _escape(cell, _LATEX)
    if not bold:
        return text
    mean, plus, rest = text.partition(r" $\pm$")
    return rf"\textbf{{{mean}}}{plus}{rest}"


# A score as a table has it, with or without a deviation.
_SCORE = re.compile("(?P<mean>[\u2212-]?\\d[\\d,]*(\\.\\d+)?)( ± \\d+(\\.\\d+)?)?")
_MARKDOWN = {character: "\\" + character for character in "\\`*_{}[]<>#|"} | {"\n": " "}
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "\u2212": "$-$",
    "×": r"$\times$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "³": r"$^3$",
    "–": "--",
    "†": r"\dag{}",
    "|": r"$|$",
    "<": r"$<$",
    ">": r"$>$",
    "\n": " ",
}


def _escape(text: str, replacements: dict[str, str]) -> str:
    return shown(text).translate(str.maketrans(replacements))


def _padded(column: Sequence[str]) -> list[str]:
    room = max((len(cell) - cell.find(" ±") for cell in column if " ±" in cell), default=0)
    return [cell if " ±" in cell else cell + " " * room for cell in column]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = row
    cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return "  ".join(cells).rstrip()
