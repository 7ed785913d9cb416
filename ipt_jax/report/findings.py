"""Sentences about who beats whom, with every number and every verdict computed from the runs."""

from dataclasses import dataclass

from ipt_jax.report.collect import Method, Setting
from ipt_jax.report.examples import example_scores
from ipt_jax.report.statistics import Difference, paired_bootstrap, spread
from ipt_jax.report.tables import metric_title

SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "open"


@dataclass(frozen=True)
class Finding:
    """One claim of the form "a method beats another", with what the numbers say to it.

    Attributes:
      claim: the claim in words.
      verdict: supported, contradicted or open.
      sentence: the numbers and the reason of the verdict.
      corpus_difference: difference of the mean scores over seeds.
      example_difference: the paired comparison over examples, None where it cannot be made.
    """

    claim: str
    verdict: str
    sentence: str
    corpus_difference: float
    example_difference: Difference | None


def findings(setting: Setting) -> list[Finding]:
    """Whether each demonstrating or trained method beats ICL with one random demonstration, each for itself.

    Then, for each IPT with a PT of as many prompt rows, whether it beats that PT.
    """
    methods = setting.methods
    baselines = [m for m in methods if not m.prompt_tokens and m.demonstrations == 1 and m.retriever == "random"]
    contenders = [m for m in methods if m.prompt_tokens or m.retriever not in (None, "random")]
    contenders = [m for m in contenders if not _least_similar(m)]
    pairs = [(contender, baseline) for baseline in baselines for contender in contenders]
    trained = [m for m in methods if m.prompt_tokens and m.runs[0].trained]
    pairs += [
        (ipt, pt)
        for ipt in trained
        for pt in trained
        if ipt.demonstrations and not pt.demonstrations and ipt.prompt_tokens == pt.prompt_tokens
    ]
    return [_compare(setting, contender, baseline) for contender, baseline in pairs]


def _least_similar(method: Method) -> bool:
    """Whether its demonstrations are the farthest: a control, of which nobody claims that it wins."""
    return method.runs[0].result.get("layout", {}).get("selection") == "farthest"


def _compare(setting: Setting, contender: Method, baseline: Method) -> Finding:
    ours, theirs = (spread([run.result["score"] for run in method.runs]) for method in (contender, baseline))
    corpus = ours.mean - theirs.mean
    examples = _paired(contender, baseline)
    verdict = _verdict(corpus, examples)
    scores = (
        f"{metric_title(setting['metric'])}: {_seeds(str(ours), ours.n)} against {_seeds(str(theirs), theirs.n)}, "
        f"a difference of {_signed(corpus)}."
    )
    claim = f"{contender.label} beats {baseline.label}"
    return Finding(claim, verdict, f"{scores} {_reason(verdict, corpus, examples)}", corpus, examples)


def _paired(contender: Method, baseline: Method) -> Difference | None:
    """Compares the scores of the examples both methods have, each averaged over the method's seeds."""
    ours, theirs = example_scores(contender), example_scores(baseline)
    shared = [example for example in theirs if example in ours]
    if len(shared) < 2:
        return None
    return paired_bootstrap([ours[example] for example in shared], [theirs[example] for example in shared])


def _verdict(corpus: float, examples: Difference | None) -> str:
    """A claim needs both: an interval away from zero, and a corpus score on the same side."""
    if examples is None:
        return OPEN
    if examples.low > 0 and corpus > 0:
        return SUPPORTED
    return CONTRADICTED if examples.high < 0 and corpus < 0 else OPEN


def _reason(verdict: str, corpus: float, examples: Difference | None) -> str:
    if examples is None:
        return "The runs have no scores of the same examples, so the difference could not be tested."
    interval = (
        f"Over the same {examples.n:,} examples the score per example differs by {_signed(examples.mean)} on average, "
        f"95 % interval {_signed(examples.low)} to {_signed(examples.high)}"
    )
    if verdict != OPEN:
        return f"{interval}."
    if examples.low <= 0 <= examples.high:
        return f"{interval}, which includes zero."
    return f"{interval}, while the score of the whole split differs by {_signed(corpus)}: the two do not agree."


def _seeds(score: str, n: int) -> str:
    return score if n == 1 else f"{score} ({n} seeds)"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\u2212")
