"""The English detokeniser of Moses (detokenizer.perl, -l en): joins words and marks into text, quirks kept."""

from __future__ import annotations

import regex

# In this order: `&amp;` last, so that `&amp;lt;` becomes `&lt;`. The line begins and ends with a blank here.
_REPLACED = (
    (" @-@ ", "-"),
    ("&bar;", "|"),
    ("&#124;", "|"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&bra;", "["),
    ("&ket;", "]"),
    ("&quot;", '"'),
    ("&apos;", "'"),
    ("&#91;", "["),
    ("&#93;", "]"),
    ("&amp;", "&"),
)

# `regex` and not `re`: currency and alphabetic are Unicode properties, as in Perl.
_OPENING = regex.compile(r"[\p{Sc}(\[{¿¡]+")
_CLOSING = regex.compile(r"[,.?!:;\\%}\])]+")
_QUOTES = regex.compile(r"['\"„“`]+")  # No ”: a closing curly quote is a word like any other.
_CLITIC = regex.compile(r"'\p{Alphabetic}")
_ENDS_IN_ALNUM = regex.compile(r"[\p{Alphabetic}\p{Nd}]\Z")
_CJK = regex.compile(
    r"[\u1100-\u11FF\u2E80-\uA4CF\uA840-\uA87F\uAC00-\uD7AF\uF900-\uFAFF\uFE30-\uFE4F\uFF65-\uFFDC"
    r"\U00020000-\U0002FFFF]"
)
_PLAIN = regex.compile(r"[0-9A-Za-z]")  # No rule is about a word that starts so: most words take this short cut.
_LEFT_ALONE = regex.compile(r"<.+>|\s*")
_BLANKS = regex.compile(" {2,}")


def detokenise(line: str) -> str:
    """The line as Moses writes it; only the blank U+0020 separates words.

    >>> detokenise("the jones ' house ( \\" no . 5 \\" ) isn 't here &amp; won @-@ over")
    'the jones\\' house ("no. 5") isn\\'t here & won-over'

    A mark joins a neighbour only where it stands alone. Quotes alternate between opening and closing, each kind
    counted from the start of the line; a single quote after a word in s is a possessive and not counted. A line
    that is one tag, such as `<null>`, or blank, is returned as it is.

    Args:
      line: a text without line breaks.
    """
    if _LEFT_ALONE.fullmatch(line):
        return line
    line = f" {line} "
    for old, new in _REPLACED:
        line = line.replace(old, new)
    pieces = []
    before, gap = "", " "
    open_quotes: set[str] = set()
    for word in line.split(" "):
        joins_left = joins_right = False
        if not word or _PLAIN.match(word):
            pass
        elif _CJK.match(word):
            joins_left = bool(before and _CJK.match(before[-1]))
        elif _OPENING.fullmatch(word):
            joins_right = True
        elif _CLOSING.fullmatch(word) or (_CLITIC.match(word) and _ENDS_IN_ALNUM.search(before)):
            joins_left = True
        elif _QUOTES.fullmatch(word):
            kind = '"' if not word.strip("„“") else word
            possessive = word == "'" and before.endswith("s") and kind not in open_quotes
            joins_left = possessive or kind in open_quotes
            joins_right = not joins_left
            if not possessive:
                open_quotes ^= {kind}
        pieces += [word] if joins_left else [gap, word]
        before, gap = word, "" if joins_right else " "
    return _BLANKS.sub(" ", "".join(pieces)).strip(" ")
