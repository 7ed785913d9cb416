"""What a population of runs is expected to take: arithmetic, memory, seconds on devices; from a sample of its rows."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import ml_collections
import numpy as np
from jax.sharding import AbstractMesh

from ipt_jax.adapters.kinds import knows_positions
from ipt_jax.cost import arithmetic, exchanges
from ipt_jax.cost.hardware import Work
from ipt_jax.cost.spread import Split
from ipt_jax.decoding.generation import MOST, MOST_ON_CPU
from ipt_jax.decoding.schedule import rows_that_enter, rows_that_fit
from ipt_jax.decoding.settings import Search
from ipt_jax.experiment.of_run import rows_of, teacher_rows_of
from ipt_jax.experiment.run import Run
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.models.sharding import laid_out, part_of, spread_heads
from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.layout import Row
from ipt_jax.rows.preparation import Preparer, layout_of
from ipt_jax.training.memory import Estimate, ModelBytes, step_estimate

# Examples of a split that are laid out; the others are taken to be like them.
SAMPLE = 500
# How often a training step runs a layer: forward, and its gradient, which takes as long as two; and how often it reads
# its weights.
_RUNS_PER_STEP, _READS_PER_STEP = 3, 2


class Bytes(NamedTuple):
    """What lies on one device.

    Attributes:
      weights: the frozen language model, or the device's part of it.
      prompts: of one prompt, with optimizer and gradient.
      activations: of a training step of that prompt.
      cache: keys and values of the rows that a device decodes at once.
      least: bytes without which neither a step of one prompt nor the longest row can be run.
    """

    weights: float
    prompts: float
    activations: float
    cache: float
    least: float


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

    @property
    def steps(self) -> int:
        """Of training. All prompts of a population take part in each."""
        return self.settings.training.steps if self.untrained else 0

    def seconds(self, split: Split) -> tuple[float, float]:
        """Of training and of evaluation. The prompts of a population share the steps of both."""
        training = self.steps * split.device.seconds(self.step(split)) if self.steps else 0.0
        evaluation = split.device.seconds(self._prefilling(split)) + split.device.seconds(self._decoding(split))
        return training, evaluation

    def bytes(self, split: Split) -> Bytes:
        itemsize = split.device.itemsize
        weights, position = parameters(self.lm, split.model) * itemsize, self._cached(split)
        # `generation` has the weights stacked, and layer by layer.
        least, step = 2 * weights + max(self._contexts) * position, None
        if self.learned:
            step = self._step_estimate(split, self._policy(split))
            least = max(least, step.total)
        return Bytes(
            weights=weights,
            prompts=step.state if step else 0,
            activations=step.saved + step.working if step else 0,
            cache=self._together(split) / split.data * max(self._contexts) * position,
            least=least,
        )

    def fits(self, split: Split) -> bool:
        """Whether the bytes do, and the rows of a batch can be shared out evenly."""
        training = self.settings.training
        shared = not self.learned or training.batch_size // training.accumulate % split.data == 0
        return shared and self.bytes(split).least <= split.device.budget

    def step(self, split: Split) -> Work:
        """One training step of all prompts, for one of the devices."""
        config, training, settings = self.lm.decoder.config, self.settings.training, self.settings
        tokens, targets = row_sizes(self.learned).mean(axis=0)
        together = self.untrained * training.batch_size / split.data
        prompt_rows = settings.layout.prompt_tokens
        found = exchanges.training_step(
            config,
            split.spread,
            exchanges.Rows(
                together * tokens, together * tokens, together * targets, prompts=self.untrained * prompt_rows
            ),
            itemsize=split.device.itemsize,
            gradient_bytes=4 * self.untrained * prompt_rows * config.embed_dim,
            recomputed=self._policy(split) == "block",
        )
        sent, exchanged = exchanges.total(found, split.spread)
        return Work(
            self.train / self.steps * self._share(split, tokens, targets, before=prompt_rows),
            _READS_PER_STEP * parameters(self.lm, split.model) * split.device.itemsize,
            _RUNS_PER_STEP * config.num_layers,
            sent,
            exchanged * training.accumulate,
        )

    def _policy(self, split: Split) -> str:
        """What `population.arrange` chooses."""
        fits = self._step_estimate(split, "dots").total <= split.device.budget
        return "dots" if fits else "block"

    def _step_estimate(self, split: Split, policy: str) -> Estimate:
        itemsize = split.device.itemsize
        return step_estimate(
            self.lm.decoder,
            self.settings,
            row_sizes(self.learned),
            1,
            policy,
            ModelBytes(parameters(self.lm, split.model) * itemsize, itemsize),
            split.spread,
        )

    def _prefilling(self, split: Split) -> Work:
        """As many positions as the arithmetic stands for: what rows begin with in common is run once."""
        config, mean = self.lm.decoder.config, float(np.mean(self._contexts))
        one_by_one = self._answers * arithmetic.row_flop(config, mean, 1)
        rows = self._answers / split.data
        positions = rows * mean * min(1.0, self.prefill / one_by_one)
        found = exchanges.inference(
            config, split.model, exchanges.Rows(positions, positions, rows), itemsize=split.device.itemsize
        )
        sent, exchanged = exchanges.total(found, split.spread)
        groups = self._answers / rows_that_enter(self._together(split), split.data)
        flop = self.prefill * self._share(split, mean, 1)
        return Work(flop, sent=sent, exchanges=exchanged * max(1.0, groups))

    def _decoding(self, split: Split) -> Work:
        """Steps of as many rows as fit: each reads all weights once, and every row's keys and values."""
        config, beams = self.lm.decoder.config, self.settings.decoding.num_beams
        together, mean = self._together(split), float(np.mean(self._contexts))
        rows, steps = together / split.data, self._answers * max(self.new_tokens - 1, 0) / together
        positions = mean + beams * self.new_tokens / 2
        read = parameters(self.lm, split.model) * split.device.itemsize + rows * positions * self._cached(split)
        newest = exchanges.Rows(rows * beams, rows * beams, rows * beams)
        found = exchanges.inference(config, split.model, newest, itemsize=split.device.itemsize)
        sent, exchanged = exchanges.total(found, split.spread)
        flop = self.decode * self._share(split, 1, 1, before=mean)
        return Work(flop, steps * read, steps * config.num_layers, steps * sent, steps * exchanged)

    def _together(self, split: Split) -> int:
        """Rows that all devices decode at once."""
        weights = parameters(self.lm, split.model) * split.device.itemsize
        fitting = rows_that_fit(
            self.lm.decoder.config,
            Search(**self.settings.decoding.to_dict()),
            positions=max(self._contexts),
            itemsize=split.device.itemsize,
            budget=int(split.device.budget - 2 * weights),
            parts=split.model,
        )
        most = MOST_ON_CPU if split.device.is_cpu else MOST
        return min(split.data * most, split.data * fitting, self._answers)

    def _share(self, split: Split, positions: float, outputs: float, before: float = 0.0) -> float:
        """Of the arithmetic, what one device does."""
        config = self.lm.decoder.config
        own, all_of = (
            arithmetic.row_flop(each, positions, outputs, before) for each in (part_of(config, split.model), config)
        )
        return own / all_of / split.data

    def _cached(self, split: Split) -> int:
        """Bytes of one position's keys and values, or of a device's part of them."""
        config = part_of(self.lm.decoder.config, split.model)
        return 2 * config.num_layers * config.num_kv_heads * config.head_dim * split.device.itemsize

    @property
    def _answers(self) -> int:
        return len(self.runs) * self.examples

    @functools.cached_property
    def _contexts(self) -> list[int]:
        return [self.settings.layout.prompt_tokens + len(row.tokens) for row in self.rows]


def forecast(preparer: Preparer, runs: Sequence[Run], workdir: Path, sample: int = SAMPLE) -> Forecast:
    """What is left to do for the unfinished runs of a population, whose prompts may be there already.

    Demonstrations are drawn at random: near enough to retrieved ones in length, and free of the cost of retrieving.

    Args:
      sample: examples of a split that are laid out.
    """
    untrained = [run for run in runs if run.steps and not run.trained_file(workdir).exists()]
    settings, sampled, lm = runs[0].settings, _sampled(runs[0], sample), preparer.lm
    config, prompt_rows, decoding = lm.decoder.config, settings.layout.prompt_tokens, settings.decoding
    split = rows_of(preparer, sampled, settings.task.split, with_target=False)
    train_rows: Sequence[Row] = []
    dev_rows: Sequence[Row] = []
    train = 0.0
    if untrained:
        train_rows = rows_of(preparer, sampled, "train", with_target=True).rows
        dev_rows = rows_of(preparer, sampled, "dev", with_target=True).rows[: settings.training.dev_examples]
        taught = [teacher_rows_of(preparer, sampled, split) for split in ("train", "dev")]
        rows = arithmetic.Learned(train_rows, dev_rows, taught[0], taught[1][: len(dev_rows)])
        train = sum(
            arithmetic.training_flop(
                config, settings.training, prompt_rows, rows, run.settings.seed, known=knows_positions(settings)
            )
            for run in untrained
        )
    template, tokenizer = layout_of(settings, lm.tokenizer).template, lm.tokenizer
    answers = [len(template.encoded_target(text, tokenizer)) for text in split.examples["target"]]
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
        prefill=scale * arithmetic.prefill_flop(config, prompt_rows, sources, known=knows_positions(settings)),
        decode=scale * steps,
    )


def embedding_flop(preparer: Preparer, split: str, limit: int) -> float:
    """FLOP of one pass over a split's different inputs, as dense retrieval makes it before the first search."""
    inputs = list(dict.fromkeys(preparer.split(split, limit)["input"]))
    sample = inputs[:: math.ceil(len(inputs) / SAMPLE)]
    tokens = np.mean([len(preparer.lm.tokenizer.encode(text)) for text in sample])
    return float(len(inputs) * tokens * arithmetic.block_flop(preparer.lm.decoder.config))


def _sampled(run: Run, sample: int) -> Run:
    """The run on fewer examples, with random demonstrations."""
    settings = run.settings.to_dict()
    if settings["layout"]["retriever"] is not None:
        settings["layout"]["retriever"] = "random"
    size = max(sample, settings["training"]["dev_examples"] if settings["training"] else 0)
    settings["limit"] = {split: min(limit or size, size) for split, limit in settings["limit"].items()}
    return dataclasses.replace(run, settings=ml_collections.FrozenConfigDict(settings))


@functools.lru_cache(maxsize=256)
def parameters(lm: FrozenLM, devices: int = 1) -> int:
    """How many numbers of the frozen language model each of so many devices holds that share it."""
    config = spread_heads(lm.decoder.config, devices)
    _, shapes = FrozenDecoder.abstract(config, lm.dtype)
    spread = laid_out(config, shapes, AbstractMesh((1, devices), ("data", "model")))
    return sum(math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in jax.tree.leaves(spread))
