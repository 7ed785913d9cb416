"""Puts what a benchmark found into a document, between two marks: no figure is typed by hand."""

from __future__ import annotations

from pathlib import Path


def replaced(document: str, name: str, text: str) -> str:
    """The document with another text between `<!-- NAME -->` and `<!-- /NAME -->`.

    Raises:
      ValueError: they are not there.

    >>> replaced("a <!-- x -->\\n old <!-- /x --> b", "x", "new")
    'a <!-- x -->\\n\\nnew\\n\\n<!-- /x --> b'
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, middle, rest = document.partition(begin)
    _, after, last = rest.partition(end)
    if not (middle and after):
        raise ValueError(f"the document has no {begin.strip()} … {end}")
    return f"{before}{begin}\n{text}\n\n{end}{last}"


def show(text: str, name: str, into: Path | None) -> None:
    """Prints the text, or puts it into a document."""
    if into is None:
        print(text)
    else:
        into.write_text(replaced(into.read_text(encoding="utf-8"), name, text), encoding="utf-8")
