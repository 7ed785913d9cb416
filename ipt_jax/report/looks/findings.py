"""Sentences about who beats whom in a setting, with every number and every verdict computed from the runs."""

from dataclasses import dataclass

from ipt_jax.report.looks.comparison import LEVEL, MOST, OPEN, Judged, compare, judge, p_text, signed
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.statistics import Spread

__all__ = ["Finding", "findings"]


@dataclass(frozen=True)
class Finding:
    """One claim of the form "a method beats another", with what the numbers say to it.

    Attributes:
      claim: the claim in words.
      sentence: the numbers and the reason of the verdict.
      judged: the comparison, its p-value corrected for the number of findings of the setting, and the verdict.
    """

    claim: str
    sentence: str
    judged: Judged

    @property
    def verdict(self) -> str:
        return self.judged.verdict


def findings(setting: Setting) -> list[Finding]:
    """Whether each demonstrating or trained method beats ICL with one random demonstration, each for itself.

    Then, for each IPT with a PT of as many prompt rows, whether it beats that PT, and whether it beats ICL with the
    same demonstrations. Prompts that were taken from other runs have a section of their own, see `transfer`.
    """
    methods = setting.methods
    baselines = [m for m in methods if not m.kind.prompted and m.demonstrations == 1 and m.retriever == "random"]
    contenders = [m for m in methods if m.kind.prompted or m.retrieved]
    contenders = [m for m in contenders if not m.least_similar and not m.result.get("prompt_source")]
    pairs = [(contender, baseline) for baseline in baselines for contender in contenders]
    pairs += same_length_pairs(setting)
    pairs += [
        (method, untuned)
        for method in methods
        if method.tuned and method.demonstrations and (untuned := setting.without_prompt(method))
        if (method, untuned) not in pairs
    ]
    judged = judge([compare(*pair) for pair in pairs])
    metric = metric_title(setting, setting["metric"])
    return [
        Finding(f"{contender.label} beats {baseline.label}", _sentence(metric, each), each)
        for (contender, baseline), each in zip(pairs, judged, strict=True)
    ]


def same_length_pairs(setting: Setting) -> list[tuple[Method, Method]]:
    """Each trained method with demonstrations, and the one without of the same adapter with as many rows."""
    trained = [m for m in setting.methods if m.tuned]
    return [
        (ipt, pt)
        for ipt in trained
        for pt in trained
        if ipt.demonstrations and not pt.demonstrations and _same_adapter(ipt, pt)
    ]


def _same_adapter(one: Method, other: Method) -> bool:
    return (one.kind.adapter, one.prompt_tokens) == (other.kind.adapter, other.prompt_tokens)


def _sentence(metric: str, judged: Judged) -> str:
    comparison = judged.comparison
    scores = (
        f"{metric}: {_seeds(comparison.ours)} against {_seeds(comparison.theirs)}, "
        f"a difference of {signed(comparison.difference)}."
    )
    return f"{scores} {_reason(judged)}"


def _reason(judged: Judged) -> str:
    examples, corpus = judged.comparison.examples, judged.comparison.difference
    if examples is None:
        return "The runs have no scores of the same examples, so the difference could not be tested."
    numbers = (
        f"Over the same {examples.n:,} examples the score per example differs by {signed(examples.mean)} on average, "
        f"95 % interval {signed(examples.low)} to {signed(examples.high)}, corrected p = {p_text(judged.p_value)}"
    ).replace("= <", "<")
    if (found := judged.comparison.effect) is not None:
        numbers += (
            f". With other seeds and examples the difference of the scores would lie from {signed(found.low)} to "
            f"{signed(found.high)}"
        )
    if judged.verdict != OPEN:
        return f"{numbers}."
    if judged.detectable is not None and judged.detectable < MOST:
        numbers += f"; one of {judged.detectable:.1f} would have been found in four of five such studies"
    elif judged.detectable is not None:
        numbers += "; with so few seeds that differ so much no difference could have been found"
    if examples.low <= 0 <= examples.high:
        return f"{numbers}; the interval includes zero."
    if judged.p_value >= LEVEL:
        return f"{numbers}: after the correction it may be chance."
    return f"{numbers}, while the score of the whole split differs by {signed(corpus)}: the two do not agree."


def _seeds(score: Spread) -> str:
    return str(score) if score.n == 1 else f"{score} ({score.n} seeds)"
