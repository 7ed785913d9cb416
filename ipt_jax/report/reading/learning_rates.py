"""Learning-rate searches: which rate is chosen, by the dev loss alone, and the words that say so."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipt_jax.report.reading.runs import Run, Unscored, resolved
from ipt_jax.report.reading.statistics import Spread, spread


@dataclass(frozen=True)
class Candidate:
    """The runs of one method with one learning rate; they differ in their seed.

    Attributes:
      rate: the learning rate; None where nothing was trained.
      runs: those with a result, in the order of their seeds.
      failed: those whose loss stopped being finite.
      unfinished: those that are still to be done.
    """

    rate: float | None
    runs: tuple[Run, ...]
    failed: tuple[Unscored, ...] = ()
    unfinished: tuple[Unscored, ...] = ()

    @property
    def eligible(self) -> bool:
        """A rate at which one seed blows up is not chosen, however well the others did."""
        return bool(self.runs) and not self.failed and len(self.losses()) == len(self.runs)

    def losses(self, seeds: Iterable[int] | None = None) -> list[float]:
        """The best dev loss of each run that has one, or of those with the given seeds."""
        losses = [run.training.get("best_dev_loss") for run in self.runs if seeds is None or run.seed in seeds]
        return [loss for loss in losses if loss is not None and math.isfinite(loss)]

    @property
    def loss(self) -> Spread | None:
        losses = self.losses()
        return spread(losses) if losses else None


@dataclass(frozen=True)
class Search:
    """One method with several learning rates, rising."""

    label: str
    candidates: tuple[Candidate, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The finished runs with any of the rates."""
        return tuple(run for candidate in self.candidates for run in candidate.runs)

    @property
    def chosen(self) -> Candidate | None:
        """The rate with the lowest mean dev loss, whatever the scores on the evaluated split are.

        Means are taken over the seeds that all eligible rates have: often more seeds follow for the best rate only,
        and the mean over easy seeds must not beat the mean over hard ones. None where no rate is eligible.
        """
        eligible = [candidate for candidate in self.candidates if candidate.eligible]
        return min(eligible, key=lambda each: spread(each.losses(self._shared_seeds())).mean, default=None)

    @property
    def sentence(self) -> str:
        """The choice in words, with what a reader must know to trust it."""
        chosen = self.chosen
        tried = [candidate for candidate in self.candidates if candidate.runs or candidate.failed]
        if chosen is None:
            return f"{self.label}: no learning rate is chosen, because each one has a failed run or no dev loss."
        seeds = self._shared_seeds()
        said = [
            f"{self.label}: of the {len(tried)} learning rates tried, {chosen.rate:g} is chosen by the lowest mean dev "
            f"loss, {spread(chosen.losses(seeds)).mean:.4f}."
        ]
        if seeds is None:
            said.append("The rates share no seed: each mean is over its own.")
        elif any(run.seed not in seeds for candidate in tried if candidate.eligible for run in candidate.runs):
            said.append(f"The means are over {_numbered('seed', sorted(seeds))}, which every rate has.")
        if len(tried) > 1 and chosen in (tried[0], tried[-1]):
            end = "smallest" if chosen is tried[0] else "largest"
            said.append(f"The best learning rate is the {end} tried; search further.")
        if all(run.training.get("best_step") == 0 for run in chosen.runs):
            said.append("Its best step is 0: training did not lower the dev loss.")
        if unfinished := sum(len(candidate.unfinished) for candidate in self.candidates):
            said.append(f"Of this search {_counted(unfinished, 'run')} not finished: the choice may change.")
        return " ".join(said)

    def _shared_seeds(self) -> set[int] | None:
        """The seeds that every eligible rate has; None where they share none."""
        seeds = [{run.seed for run in candidate.runs} for candidate in self.candidates if candidate.eligible]
        return set.intersection(*seeds) or None


def candidates_of(runs: Sequence[Run], unscored: Iterable[Unscored]) -> tuple[Candidate, ...]:
    """The learning rates of one method, rising, with the runs of each.

    Args:
      runs: of one method, at least one; those of untrained prompts have no learning rate and are one candidate.
      unscored: all that there are; those that differ from `runs` in learning rate and seed alone belong to them.
    """
    same = [each for each in unscored if each.learning_rate is not None and resolved(each) == resolved(runs[0])]
    same.sort(key=lambda each: each.seed)
    rates = {run.learning_rate for run in runs}
    if rates != {None}:
        rates |= {each.learning_rate for each in same}
    return tuple(
        Candidate(
            rate,
            tuple(sorted((run for run in runs if run.learning_rate == rate), key=lambda run: run.seed)),
            tuple(each for each in same if each.learning_rate == rate and each.failed_step is not None),
            tuple(each for each in same if each.learning_rate == rate and each.failed_step is None),
        )
        for rate in sorted(rates, key=lambda rate: rate or 0.0)
    )


def outcome(candidate: Candidate, chosen: bool) -> str:
    """'chosen', 'failed: seed 1 at step 35', 'not finished: seeds 1, 2', or nothing."""
    said = ["chosen"] if chosen else []
    if candidate.failed:
        failures = [f"seed {each.seed} at step {each.failed_step}" for each in candidate.failed]
        said.append(f"failed: {', '.join(failures)}")
    if candidate.unfinished:
        said.append("not finished: " + _numbered("seed", [each.seed for each in candidate.unfinished]))
    return "; ".join(said)


def _numbered(noun: str, numbers: Sequence[int]) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _counted(count: int, noun: str) -> str:
    return f"1 {noun} is" if count == 1 else f"{count} {noun}s are"
