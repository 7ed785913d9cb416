"""Tables of the page as files: text, Markdown, LaTeX and CSV beside one another."""

from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.report.drawing.setting_tables import csv_text
from ipt_jax.report.looks.claims import UNTESTED, Claim
from ipt_jax.report.looks.views import View
from ipt_jax.tables import Table, latex_block, markdown_block, text_block

ENDINGS = ("txt", "md", "tex", "csv")


@dataclass(frozen=True)
class Block:
    """A table with its heading, and notes below."""

    title: str
    table: Table
    notes: tuple[str, ...]


def blocks_of_views(views: Sequence[View], place: str = "") -> list[Block]:
    """Every table of every view.

    Args:
      place: the setting that they are of, for their headings.
    """
    return [
        Block(
            ", ".join(filter(None, (view.title, caption, place if place != caption else ""))),
            table,
            view.text + view.notes,
        )
        for view in views
        for caption, table in view.tables
    ]


def blocks_of_claims(claims: Sequence[Claim]) -> list[Block]:
    """The evidence of every claim that was tested."""
    return [
        Block(f"{claim.claim}: {claim.verdict}", claim.evidence, (claim.sentence,))
        for claim in claims
        if claim.verdict != UNTESTED
    ]


def as_files(blocks: Sequence[Block]) -> dict[str, str]:
    """File ending → content; {} without any."""
    if not blocks:
        return {}
    parts = {
        "txt": [text_block([block.title], block.table, block.notes) for block in blocks],
        "md": [markdown_block(block.title, block.table, block.notes) for block in blocks],
        "tex": [latex_block(block.title, block.table, block.notes) for block in blocks],
    }
    return {ending: "\n\n".join(texts) + "\n" for ending, texts in parts.items()} | {"csv": _as_csv(blocks)}


def _as_csv(blocks: Sequence[Block]) -> str:
    """One row per cell, because the tables have different columns."""
    rows = [
        [block.title, first, column, cell]
        for block in blocks
        for first, *cells in block.table.rows
        for column, cell in zip(block.table.header[1:], cells, strict=True)
    ]
    return csv_text([["table", "row", "column", "value"], *rows])
