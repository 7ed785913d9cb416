"""Splits a query into words as Spider's official evaluator does, with NLTK's tokenizer of English."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from ipt_jax.metrics.spider.query import NotParsed

_QUOTED = re.compile('"[^"]*"')


@functools.cache
def _english() -> Callable[[str], list[str]]:
    # Here because importing nltk takes longer than importing jax, and every command imports every metric.
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer().tokenize


def tokenise(sql: str) -> list[str]:
    """The words of a query in lower case; a quoted text keeps its case and stands in double quotes.

        >>> tokenise("SELECT Name FROM t WHERE city != 'New York'")
        ['select', 'name', 'from', 't', 'where', 'city', '!=', '"New York"']

    Quirk: NLTK's tokenizer of English splits `a.b>=3` into `a.b`, `>`, `=3`, but leaves `a=3` in one piece, and a
    text glued to another word is lost.

    Raises:
      NotParsed: a quote is left open. An apostrophe is a quote, also between double quotes.
    """
    sql = sql.replace("'", '"')
    if sql.count('"') % 2:
        raise NotParsed("a quote is left open")
    texts: dict[str, str] = {}

    def hide(match: re.Match[str]) -> str:
        # The shape of this word decides what the tokenizer does around it.
        word = f"__val_{match.start()}_{match.end() - 1}__"
        texts[word] = match.group()
        return word

    tokens: list[str] = []
    for word in _english()(_QUOTED.sub(hide, sql)):
        token = texts.get(word.lower(), word.lower())
        if token == "=" and tokens and tokens[-1] in ("!", ">", "<"):
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens
