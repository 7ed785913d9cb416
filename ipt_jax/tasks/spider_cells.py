"""Finds the cells of a database that a question names, as UnifiedSKG does (the content encoder of Lin et al. 2020).

Comments that begin with "Quirk" mark what looks like an oversight of the original and changes its text.
"""

from __future__ import annotations

import difflib
import functools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ipt_jax.errors import InputError
from ipt_jax.metrics.subsequence import common_subsequence

MAX_HINTS = 2  # For a column.
_THRESHOLD = 0.85

_SEPARATORS = frozenset("'\"()`,.?! ")
_COMMON_WORDS = frozenset(("no", "yes", "many"))  # They count if they are the whole cell.
# NLTK's English list without "no".
_STOP_WORD_LIST = """
    a about above after again against ain all am an and any are aren aren't as at be because been before being below
    between both but by can couldn couldn't d did didn didn't do does doesn doesn't doing don don't down during each
    few for from further had hadn hadn't has hasn hasn't have haven haven't having he her here hers herself him himself
    his how i if in into is isn isn't it it's its itself just ll m ma me mightn mightn't more most mustn mustn't my
    myself needn needn't nor not now o of off on once only or other our ours ourselves out over own re s same shan
    shan't she she's should should've shouldn shouldn't so some such t than that that'll the their theirs them
    themselves then there these they this those through to too under until up ve very was wasn wasn't we were weren
    weren't what when where which while who whom why will with won won't wouldn wouldn't y you you'd you'll you're
    you've your yours yourself yourselves
"""
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def cell_hints(question: str, table: str, column: str, database: Path) -> list[str]:
    """At most two cells of a column that the question names, the most similar first.

    Raises:
      InputError: the file is no SQLite database, or has no such column.
    """
    if table == "sqlite_sequence":  # SQLite's own book-keeping, which some schemas list.
        return []
    # Quirk: the column's name as it is spelled; "Name" has no such rule.
    least = 1.0 if "name" in column else _THRESHOLD
    hints = matching_cells(question, column_texts(database, table, column))
    return [cell.strip() for cell, similarity in hints if similarity >= least][:MAX_HINTS]


def matching_cells(question: str, cells: Sequence[str]) -> list[tuple[str, float]]:
    """The cells that the question names, with their similarity from 0.85 to 1, the most similar first.

    Of cells that agree in what they share with the question the last one stands for all.

    >>> matching_cells("Where is Joe Biden's house?", ["Joe Biden", "Jo Bidet", "house", "where"])
    [('Joe Biden', 1.0), ('house', 1.0)]
    """
    found: dict[str, tuple[str, float, float]] = {}
    could_match = _filter(question)
    for cell in cells:
        if could_match(cell) and (match := _match(question, cell)):
            shared, similarity, size = match
            # Quirk: one sum of similarity and length, in which floating point loses the last letter of a length.
            found[shared] = (cell, similarity, 1e16 * similarity + 1e8 * similarity + size)
    ranked = sorted(found.values(), key=lambda match: match[2], reverse=True)
    return [(cell, similarity) for cell, similarity, _ in ranked]


def _match(question: str, cell: str) -> tuple[str, float, int] | None:
    """The longest text that cell and question share, how similar the cell is to the words around it, and its length.

    None for cells that are not similar enough.
    """
    letters = [letter.lower() for letter in question.strip()]
    matcher = difflib.SequenceMatcher(None, letters, [letter.lower() for letter in cell.strip()])
    place = matcher.find_longest_match()
    span = _span(letters, place.a, place.a + place.size) if place.size else None
    if span is None or span[1] - span[0] < 2:
        return None
    # Quirk: these positions are those of the stripped texts.
    shared = cell[place.b : place.b + place.size]
    texts = [text.lower().strip() for text in (shared, question[span[0] : span[1]], cell)]
    if not texts[0] or texts[0] == "id" or _is_number(texts[0]) or not _STOP_WORDS.isdisjoint(texts):
        return None
    similarity = _similarity(texts[1], texts[2])
    whole_needed = cell.isupper() or not _COMMON_WORDS.isdisjoint(texts)
    return (shared, similarity, place.size) if similarity >= (1.0 if whole_needed else _THRESHOLD) else None


def _span(letters: Sequence[str], start: int, end: int) -> tuple[int, int] | None:
    """The words that the letters start to end are of; None if they begin or end inside a word.

    Up to two letters may follow: a plural of the cell is such a word.
    """
    if letters[start] not in _SEPARATORS and start and letters[start - 1] not in _SEPARATORS:
        return None
    last = next((i for i in range(end - 1, end + 3) if i >= len(letters) or letters[i] in _SEPARATORS), None)
    if last is None:
        return None
    last = min(last, len(letters) - 1)
    while start < len(letters) and letters[start] in _SEPARATORS:
        start += 1
    while last >= 0 and letters[last] in _SEPARATORS:
        last -= 1
    return start, last + 1


def _similarity(words: str, cell: str) -> float:
    """0 where their first letters differ, separators aside."""
    firsts = [next((letter for letter in text if letter not in _SEPARATORS), text[-1:]) for text in (words, cell)]
    return _ratio(cell, words) if firsts[0] == firsts[1] else 0.0


def _ratio(first: str, second: str) -> float:
    """1 − insertions and deletions / letters of both, as rapidfuzz's `fuzz.ratio` / 100."""
    common = common_subsequence(first, second)
    total = len(first) + len(second)
    return (1.0 - (total - 2 * common) / total) * 100 / 100


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _filter(question: str) -> Callable[[str], bool]:
    """A quick test that passes every cell `_match` finds, and few others.

    The words around a match are at most two letters longer than it. To be similar they need 0.85 / 1.15 = 17 / 23 of
    the cell's length, so cell and question share a piece of that length less two.
    """
    text = question.lower()
    if not text.isascii():  # Lower case may have another length.
        return lambda cell: True

    def could_match(cell: str) -> bool:
        cell = cell.strip()
        if not cell.isascii():
            return True
        cell = cell.lower()
        length = max(1, -(-17 * len(cell) // 23) - 2)
        return any(cell[start : start + length] in text for start in range(len(cell) - length + 1))

    return could_match


@functools.lru_cache(maxsize=1024)
def column_texts(database: Path, table: str, column: str) -> tuple[str, ...]:
    """The different texts of a column, sorted; numbers and NULL are left out.

    Sorted, because the original's order is that of a set, another one in each process.
    """
    names = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in (table, column)]
    # The qualified name: SQLite takes an unknown "column" for a text.
    name = f"{names[0]}.{names[1]}"
    query = f"SELECT DISTINCT {name} FROM {names[0]} WHERE typeof({name}) IN ('text', 'blob')"
    try:
        connection = sqlite3.connect(database.resolve().as_uri() + "?mode=ro&immutable=1", uri=True)
        try:
            connection.text_factory = bytes
            cells = {_decode(cell) for (cell,) in connection.execute(query)}
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the second where the message quotes what is no text
        raise InputError(
            f"{database}: cannot read column {column!r} of table {table!r} ({error}); database and tables.json should "
            "be of one release of Spider; fetch it again"
        ) from error
    return tuple(sorted(cells))


def _decode(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.decode("latin-1")
