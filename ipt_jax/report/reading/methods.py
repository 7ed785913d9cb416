"""Settings and methods: what a report compares.

A *setting* is what a fair comparison shares: task, split, number of examples, data, language model, metric,
number format and decoding. A *method* is the set of finished runs of one setting that differ in nothing but
their seed; where several learning rates were tried, it is the runs with the chosen one.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ipt_jax.report.reading.kinds import Kind, kind_of
from ipt_jax.report.reading.learning_rates import Search
from ipt_jax.report.reading.paper import MAIN_TABLE_ROWS, paper_score, paper_tasks
from ipt_jax.report.reading.resampling import interval_over_examples
from ipt_jax.report.reading.runs import Run
from ipt_jax.report.reading.statistics import Spread


@dataclass(frozen=True)
class Method:
    """Runs that differ only in their seed, in the order of their seeds.

    Attributes:
      label: the method's name; where two methods of a setting share one, with the settings they differ in.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def result(self) -> Mapping[str, Any]:
        """The result of the first run, for all that the runs share."""
        return self.runs[0].result

    @property
    def scores(self) -> list[float]:
        """The score of the whole split of each run."""
        return [run.result["score"] for run in self.runs]

    @functools.cached_property
    def example_scores(self) -> dict[str, float]:
        """Example id → score, mean over the runs, for the examples that have a score in every run."""
        per_run = [
            {row["id"]: row["score"] for row in run.predictions if row.get("score") is not None} for run in self.runs
        ]
        shared = [example for example in per_run[0] if all(example in scores for scores in per_run)]
        return {example: sum(scores[example] for scores in per_run) / len(per_run) for example in shared}

    @functools.cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the score over the examples, see `interval_over_examples`."""
        return interval_over_examples(self.runs)

    @functools.cached_property
    def empty(self) -> int | None:
        """How many answers of all runs together are empty; None where it is not known of each."""
        counts = [run.empty for run in self.runs]
        return None if None in counts else sum(counts)

    @property
    def prompt_tokens(self) -> int:
        return self.result.get("prompt_tokens") or 0

    @property
    def demonstrations(self) -> int:
        return self.result.get("demonstrations") or 0

    @property
    def retriever(self) -> str | None:
        return self.result.get("retriever") if self.demonstrations else None

    @property
    def retrieved(self) -> bool:
        """Whether it shows demonstrations that were chosen by the input."""
        return self.retriever not in (None, "random")

    @property
    def tuned(self) -> bool:
        """Whether it has an adapter that was trained with its own demonstrations, and not loaded."""
        return self.kind.prompted and self.runs[0].trained

    @property
    def selection(self) -> str:
        """Which demonstrations its retriever takes: the nearest or the farthest."""
        return (self.result.get("layout") or {}).get("selection") or "nearest"

    @property
    def least_similar(self) -> bool:
        """Whether its demonstrations are the farthest: a control, of which nobody claims that it wins."""
        return self.selection == "farthest"

    @functools.cached_property
    def kind(self) -> Kind:
        """What its numbers make it, whatever its runs call themselves."""
        return kind_of(self.result)

    def run_label(self, run: Run) -> str:
        return self.label if len(self.runs) == 1 else f"{self.label}, seed {run.seed}"


@dataclass(frozen=True)
class Setting:
    """The methods that may be compared with one another, in the order of the table.

    A mean over learning rates would say nothing, and a row per rate would let a reader choose by the score on the
    evaluated split. So where several rates were tried, the method is the runs with the rate that its search chose.

    Attributes:
      methods: those that are compared.
      searches: of the methods that were trained with several learning rates.
      passed_over: the learning rates that were not chosen, each as a method of its own.
      beside: the methods of all settings that are shown together, one of each label: by them colours are given.
    """

    methods: tuple[Method, ...]
    searches: tuple[Search, ...] = ()
    passed_over: tuple[Method, ...] = ()
    beside: tuple[Method, ...] = ()

    def __getitem__(self, key: str) -> Any:
        """What all runs of the setting share: one of task, task_title, split, examples, model, metric, …"""
        return self.methods[0].result.get(key)

    @property
    def task_title(self) -> str:
        return str(self["task_title"] or self["task"] or "unnamed task")

    @property
    def title(self) -> str:
        return f"{self.task_title}, {self['split']} split, {self['model']}"

    @property
    def size(self) -> str:
        """'1,000 examples'; words where a result does not say how many."""
        return "examples of unknown number" if self["examples"] is None else f"{self['examples']:,} examples"

    @property
    def runs(self) -> list[Run]:
        """The runs that are compared."""
        return [run for method in self.methods for run in method.runs]

    @property
    def all_methods(self) -> list[Method]:
        """With the learning rates that were not chosen: all that was done."""
        return sorted((*self.methods, *self.passed_over), key=table_order)

    @property
    def all_runs(self) -> list[Run]:
        return [run for method in self.all_methods for run in method.runs]

    @property
    def of_the_paper(self) -> bool:
        """Whether its task is one of the paper's, on that task's own data: what the paper says can be held to it."""
        return str(self["task"]) in paper_tasks() and not self.synthetic

    def without_prompt(self, method: Method) -> Method | None:
        """The method that shows what this one shows, without an adapter; None where it was not run."""

        def shown(one: Method) -> tuple:
            return one.demonstrations, one.retriever, one.selection if one.demonstrations else None, one.kind.chat

        return next((one for one in self.methods if not one.kind.prompted and shown(one) == shown(method)), None)

    def in_main_table(self, method: Method) -> bool:
        """Whether the paper's main table may have numbers of a method: of several prompt lengths it has one alone."""
        lengths = {other.prompt_tokens for other in self.methods if other.kind == method.kind}
        return len(lengths) == 1 or method.prompt_tokens == MAIN_TABLE_ROWS

    def paper_score(self, paper_model: str, method: Method) -> Spread | None:
        """The paper's score of such a method with one of its language models, where it has one."""
        task = str(self["task"])
        return paper_score(paper_model, method.kind, task) if self.in_main_table(method) else None

    @property
    def synthetic(self) -> bool:
        """Whether the data calls itself synthetic. Its scores must not be mistaken for those of a real data set."""
        return "synthetic" in f"{self['task_title']} {self['task']}".lower()


def table_order(method: Method) -> tuple:
    """Zero-shot, random before retrieved ICL, few before many demonstrations; then PT, IPT, and what is loaded.

    Prompts stand before other adapters. Of a method, its learning rates rise.
    """
    trained = bool(method.result.get("training"))
    if not method.kind.prompted:
        kind = 0
    elif trained:
        kind = 2 if method.demonstrations else 1
    else:
        kind = 3
    rate = method.runs[0].learning_rate or 0.0
    adapter = method.kind.adapter != "prompt", method.kind.adapter
    layout = method.kind.chat, method.retrieved, method.demonstrations, method.prompt_tokens
    return kind, adapter, *layout, rate, method.label
