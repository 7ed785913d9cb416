"""BLEC for Logic2Text: the pieces of a logical form that a sentence does not say (Shu et al. 2021)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored

BLEC_SIGNATURE = "convention:blec-logic2text|case:mixed|match:substring|missing-in-reference:forgiven|8:nine"

# fmt: off
_MAXIMUM = (
    "best", "earliest", "highest", "larger than any", "largest", "latest", "longest", "lowest rank", "max", "maximum",
    "most", "newest", "oldest", "predominantly", "shortest", "slowest", "top",
)
_MINIMUM = (
    "any", "earliest", "fastest", "highest rank", "latest", "least", "longest", "lowest", "minimum", "oldest",
    "shortest", "smallest", "worst", "youngest",
)
_GREATER = (
    "above", "after", "at least", "bigger", "faster", "greater", "higher", "larger", "later", "longer", "more",
    "older", "over", "worse rank",
)
_LESS = (
    "before", "below", "better rank", "earlier", "fewer", "less", "lighter", "lower", "prior", "shorter", "slower",
    "smaller", "under", "younger",
)
_MOST = ("major", "majority", "most")
# fmt: on

# Function → the words of which a sentence has to hold one. Every other function is silent: count, diff, hop, and,
# eq, not_eq, round_eq, filter_eq, filter_not_eq, filter_all, all_eq and all_not_eq need no word.
_WORDS = {
    "only": ("one", "only"),
    "avg": ("average", "mean"),
    "sum": ("sum", "total"),
    **dict.fromkeys(("max", "argmax", "nth_max", "nth_argmax"), _MAXIMUM),
    **dict.fromkeys(("min", "argmin", "nth_min", "nth_argmin"), _MINIMUM),
    **dict.fromkeys(("greater", "filter_greater", "filter_greater_eq", "all_greater", "all_greater_eq"), _GREATER),
    **dict.fromkeys(("less", "filter_less", "filter_less_eq", "all_less", "all_less_eq"), _LESS),
    **dict.fromkeys(("most_eq", "most_not_eq", "most_str_eq", "most_str_not_eq"), _MOST),
    **dict.fromkeys(("most_greater", "most_greater_eq"), _MOST + _GREATER),
    **dict.fromkeys(("most_less", "most_less_eq"), _MOST + _LESS),
}

_CARDINALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "nine", "nine", "ten")  # sic: 8 is "nine"
_ORDINALS = ("zero", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def blec(logic_form: str, reference: str, prediction: str) -> list[str]:
    """The pieces of the form that the prediction does not say; none means that the example passes.

        >>> blec("eq { max { all_rows ; points } ; 12 } = true", "the most is 12 .", "the average is 12 .")
        ['max']

    These are the rules of the evaluator that UnifiedSKG uses (third_party/BLEC), with its quirks:

    - A form is cut at braces, semicolons and bars. A function that has words needs one of them anywhere in the
      prediction, inside a word too ("any" in "many", "one" in "stone"). Case counts. Words of maximum and minimum
      overlap: "longest" says either.
    - A number of digits is said by the same digits, in a longer number too (5 in 15), up to ten by its number
      word or ordinal, above ten with thousands commas. 1 is always said, and the number word of 8 is "nine". What
      the reference does not say either is forgiven.
    - A prediction with "not" in it, in "another" or "notable" too, where the form has no piece `not`, begins the
      list with `not`. The reverse is no error.
    - Every other piece is said: column names, values, functions without words.

    So released sentences pass in 89 % only, and an empty prediction passes where nothing has to be said.

    Args:
      logic_form: such as `eq { count { filter_eq { all_rows ; won ; 9 } } ; 2 } = true`.
      reference: the released sentence.

    Returns:
      The pieces in the order of the form, repeated ones repeated.
    """
    pieces = [piece for part in re.split(r"[{}|;]", logic_form) if (piece := part.strip())]
    negation = ["not"] if "not" in prediction and "not" not in pieces else []
    return negation + [piece for piece in pieces if not _is_said(piece, reference, prediction)]


def _is_said(piece: str, reference: str, prediction: str) -> bool:
    if piece.isdigit():
        return _says_number(piece, prediction) or not _says_number(piece, reference)
    return piece not in _WORDS or any(word in prediction for word in _WORDS[piece])


def _says_number(digits: str, text: str) -> bool:
    if digits in text or digits == "1":
        return True
    try:
        value = int(digits)
    except ValueError:  # A superscript two is a digit but no number, and int() takes 4,300 digits at most.
        return False
    if value <= 10:
        return _CARDINALS[value] in text or _ORDINALS[value] in text
    return f"{value:,}" in text


def _rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
    """f64[N, 2]; the forms are `Example.details["logic_form"]`."""
    pairs = zip(predictions, examples, strict=True)
    unsaid = [blec(example.details["logic_form"], example.references[0], text) for text, example in pairs]
    return scored([0.0 if pieces else 100.0 for pieces in unsaid])


BLEC = Metric(
    "blec",
    "BLEC",
    "sentences that say every piece of their logical form, by UnifiedSKG's rules",
    BLEC_SIGNATURE,
    _rows,
    mean(0),
    mean(0),
)
