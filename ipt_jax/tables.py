"""Tables as aligned text, Markdown and LaTeX."""

from __future__ import annotations

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


def latex_block(title: str, content: Table, notes: Sequence[str]) -> str:
    lines = [" & ".join(_escape(cell, _LATEX) for cell in row) + r" \\" for row in [content.header, *content.rows]]
    caption = " ".join(_escape(text, _LATEX) for text in [f"{title}.", *notes])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(content.header) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


_MARKDOWN = {character: "\\" + character for character in "\\`*_{}[]<>#|"} | {"\n": " "}
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
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
