"""What a population of runs is expected to take: arithmetic, memory, seconds on a device; from a sample of its rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import jax
import ml_collections
import numpy as np

from ipt_jax import arithmetic
from ipt_jax.devices import Device, Work
from ipt_jax.generation import MOST, MOST_ON_CPU
from ipt_jax.layout import Row
from ipt_jax.memory import step_estimate
from ipt_jax.models.loading import FrozenLM
from ipt_jax.preparation import Preparer, rows_of
from ipt_jax.results import RunFolder
from ipt_jax.runs import Run
from ipt_jax.search import Search
from ipt_jax.work_list import rows_that_fit

# Examples of a split that are laid out; the others are taken to be like them.
SAMPLE = 500
# How often a training step runs a layer: forward, and its gradient, which takes as long as two.
_RUNS_PER_STEP = 3


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What is left to do for a population.

    Attributes:
      runs: those that are not finished.
      untrained: how many of them still lack their prompt.
      rows: of the evaluated split, a sample.
      examples: how many the split has.
      learned: rows of the training and dev splits, samples; none where nothing is trained.
      new_tokens: of an answer, on average; as many as the target has.
      train, prefill, decode: FLOP of all runs.
    """

    lm: FrozenLM
    runs: Sequence[Run]
    untrained: int
    rows: Sequence[Row]
    examples: int
    learned: Sequence[Row]
    new_tokens: float
    train: float
    prefill: float
    decode: float

    @property
    def settings(self) -> ml_collections.FrozenConfigDict:
        return self.runs[0].settings

    def seconds(self, device: Device) -> tuple[float, float]:
        """Of training and of evaluation. The prompts of a population share the steps of both."""
        steps = self.settings.training.steps if self.untrained else 0
        training = device.seconds(Work(self.train, layers=_RUNS_PER_STEP * self._layers * steps))
        return training, device.seconds(Work(self.prefill)) + device.seconds(self._decoding(device))

    def memory(self, itemsize: int) -> int:
        """Bytes without which it cannot be done: for the longest row to decode, or a training step of one prompt.

        Args:
          itemsize: bytes of a number of the language model.
        """
        weights = parameters(self.lm) * itemsize
        # `generation` has the weights stacked, and layer by layer.
        needed = 2 * weights + max(self._contexts) * self._cached(itemsize)
        if self.learned:
            settings, rows = self.settings, self.learned
            step = step_estimate(self.lm.decoder, settings, rows, 1, "block", weights=weights, itemsize=itemsize)
            needed = max(needed, step.total)
        return needed

    def fits(self, device: Device) -> bool:
        return self.memory(device.itemsize) <= device.budget

    def _decoding(self, device: Device) -> Work:
        """Steps of as many rows as fit: each reads all weights once, and every row's keys and values."""
        config, beams = self.lm.decoder.config, self.settings.decoding.num_beams
        weights, contexts = parameters(self.lm) * device.itemsize, self._contexts
        fitting = rows_that_fit(
            config,
            Search(**self.settings.decoding.to_dict()),
            positions=max(contexts),
            itemsize=device.itemsize,
            budget=int(device.budget - 2 * weights),
        )
        answers = len(self.runs) * self.examples
        together = min(MOST_ON_CPU if device.is_cpu else MOST, fitting, answers)
        steps = answers * max(self.new_tokens - 1, 0) / together
        positions = float(np.mean(contexts)) + beams * self.new_tokens / 2
        read = weights + together * positions * self._cached(device.itemsize)
        return Work(self.decode, steps * read, steps * self._layers)

    def _cached(self, itemsize: int) -> int:
        """Bytes of one position's keys and values."""
        config = self.lm.decoder.config
        return 2 * config.num_layers * config.num_kv_heads * config.head_dim * itemsize

    @property
    def _layers(self) -> int:
        return self.lm.decoder.config.num_layers

    @property
    def _contexts(self) -> list[int]:
        return [self.settings.layout.prompt_tokens + len(row.tokens) for row in self.rows]


def forecast(preparer: Preparer, runs: Sequence[Run], workdir: Path) -> Forecast:
    """What is left to do for the unfinished runs of a population, whose prompts may be there already.

    Demonstrations are drawn at random: near enough to retrieved ones in length, and free of the cost of retrieving.
    """
    untrained = [run for run in runs if run.steps and not RunFolder(workdir, run.id).prompt.exists()]
    settings, sampled, lm = runs[0].settings, _sampled(runs[0]), preparer.lm
    config, prompt_rows, decoding = lm.decoder.config, settings.layout.prompt_tokens, settings.decoding
    split = rows_of(preparer, sampled, settings.task.split, with_target=False)
    train_rows: Sequence[Row] = []
    dev_rows: Sequence[Row] = []
    train = 0.0
    if untrained:
        train_rows = rows_of(preparer, sampled, "train", with_target=True).rows
        dev_rows = rows_of(preparer, sampled, "dev", with_target=True).rows[: settings.training.dev_examples]
        train = sum(
            arithmetic.training_flop(config, settings.training, prompt_rows, train_rows, dev_rows, run.settings.seed)
            for run in untrained
        )
    target, encode = settings.layout.template.target, lm.tokenizer.continuation.encode
    answers = [len(encode(target.format(output=text))) for text in split.examples["target"]]
    written = np.minimum(answers, decoding.max_new_tokens)
    sources = [row.tokens for row in split.rows]
    examples = len(preparer.split(settings.task.split, settings.limit[settings.task.split]))
    scale = len(runs) * examples / len(sources)
    steps = arithmetic.decoding_flop(
        config, prompt_rows, [len(tokens) for tokens in sources], written, decoding.num_beams
    )
    return Forecast(
        lm=lm,
        runs=runs,
        untrained=len(untrained),
        rows=split.rows,
        examples=examples,
        learned=[*train_rows, *dev_rows],
        new_tokens=float(written.mean()),
        train=train,
        prefill=scale * arithmetic.prefill_flop(config, prompt_rows, sources),
        decode=scale * steps,
    )


def embedding_flop(preparer: Preparer, split: str, limit: int) -> float:
    """FLOP of one pass over a split's different inputs, as dense retrieval makes it before the first search."""
    inputs = list(dict.fromkeys(preparer.split(split, limit)["input"]))
    sample = inputs[:: math.ceil(len(inputs) / SAMPLE)]
    tokens = np.mean([len(preparer.lm.tokenizer.encode(text)) for text in sample])
    return float(len(inputs) * tokens * arithmetic.block_flop(preparer.lm.decoder.config))


def _sampled(run: Run) -> Run:
    """The run on fewer examples, with random demonstrations."""
    settings = run.settings.to_dict()
    if settings["layout"]["retriever"] is not None:
        settings["layout"]["retriever"] = "random"
    size = max(SAMPLE, settings["training"]["dev_examples"] if settings["training"] else 0)
    settings["limit"] = {split: min(limit or size, size) for split, limit in settings["limit"].items()}
    return dataclasses.replace(run, settings=ml_collections.FrozenConfigDict(settings))


def parameters(lm: FrozenLM) -> int:
    """How many numbers the frozen language model is made of."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(lm.params))
