"""The answer that a report begins with: which method of a setting is best, and what it is proved to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ipt_jax.report.looks.comparison import SUPPORTED, Judged, compare, p_text, verdict
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.statistics import spread

RULE = (
    "The best method was found by its score, so its p-values are multiplied by the number of pairs that all methods "
    "make (Bonferroni). They cover the choice of test examples and, where several were run, that of seeds."
)
_NAMED = 3  # methods that a sentence names; more are counted


def answer(setting: Setting) -> str:
    """One sentence: the method with the highest score, or those that share it to the digit shown, and whom they beat.

    A method is beaten where each of the best beats it, by the rule of `comparison` on the same examples.
    """
    metric, methods = metric_title(setting, setting["metric"]), setting.methods
    scores = {method.label: spread(method.scores) for method in methods}
    shown = {label: f"{score.mean:.1f}" for label, score in scores.items()}
    highest = shown[max(scores, key=lambda label: scores[label].mean)]
    best = [method for method in methods if shown[method.label] == highest]
    others = [method for method in methods if shown[method.label] != highest]
    if not others:
        alike = f"all {len(methods)} methods score alike" if len(methods) > 1 else f"{best[0].label} alone was run"
        return _sentence(f"{alike}: {scores[best[0].label]} {metric}")
    plural = len(best) > 1
    have = f"{_join([m.label for m in best], 'and')} score{'' if plural else 's'} highest, with " + _join(
        list(dict.fromkeys(str(scores[method.label]) for method in best)), "and"
    )
    pairs = len(methods) * (len(methods) - 1) // 2
    return _sentence(f"{have} {metric}{_beaten(best, others, pairs)}")


def _beaten(best: Sequence[Method], others: Sequence[Method], pairs: int) -> str:
    """Whom they beat, and against whom it is open."""
    plural = len(best) > 1
    judged = {other.label: _weakest([_judge(one, other, pairs) for one in best]) for other in others}
    if all(each.p_value is None for each in judged.values()):
        return "; without scores of the same examples nothing could be tested"
    won = {label: each for label, each in judged.items() if each.verdict == SUPPORTED}
    undecided = {label: each for label, each in judged.items() if label not in won}
    beat, they = ("beat", "they beat") if plural else ("beats", "it beats")
    said = []
    if won:
        largest = max(each.p_value for each in won.values())
        bound = p_text(largest) if len(won) == 1 else f"≤ {math.ceil(1000 * largest) / 1000:.3f}"
        said.append(f", and {beat} {_counted(won, len(others))} (corrected p {_equals(bound)})")
    if undecided:
        known = [each.p_value for each in undecided.values() if each.p_value is not None]
        least = f" (corrected p {_equals(('≥ ' if len(known) > 1 else '') + p_text(min(known)))})" if known else ""
        open_ones = _join(list(undecided), "or") if len(undecided) <= _NAMED else f"any of the other {len(undecided)}"
        said.append(f"{'; whether' if won else ', but whether'} {they} {open_ones} is not decided{least}")
    return "".join(said)


def _judge(ours: Method, theirs: Method, pairs: int) -> Judged:
    comparison = compare(ours, theirs)
    p_value = None if comparison.p_value is None else min(1.0, comparison.p_value * pairs)
    return Judged(comparison, p_value, verdict(comparison, p_value))


def _weakest(judged: Sequence[Judged]) -> Judged:
    """The one that says least: an open one, else the one with the largest p-value."""
    return max(judged, key=lambda each: (each.verdict != SUPPORTED, 1.0 if each.p_value is None else each.p_value))


def _counted(won: dict[str, Judged], others: int) -> str:
    if len(won) == others:
        return "the other method" if others == 1 else f"each of the {others} other methods"
    return _join(list(won), "and") if len(won) <= _NAMED else f"{len(won)} of the {others} other methods"


def _join(names: Sequence[str], word: str) -> str:
    """'a', 'a and b', 'a; b; and c': the names of methods have commas in them."""
    if len(names) < 3:
        return f" {word} ".join(names)
    return "; ".join([*names[:-1], f"{word} {names[-1]}"])


def _equals(p_value: str) -> str:
    return p_value if p_value.startswith(("<", "≤", "≥")) else f"= {p_value}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
