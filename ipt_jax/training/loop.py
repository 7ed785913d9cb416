"""The training loop: ordered steps, dev losses, checkpoints, metrics; goes on where a kill left it."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from ipt_jax.adapters import monitors
from ipt_jax.errors import InputError
from ipt_jax.rows.batching import Batch
from ipt_jax.runtime import compiling, mesh, preemption, processes
from ipt_jax.runtime.log import Progress
from ipt_jax.training.checkpoints import Checkpoints
from ipt_jax.training.feed import Feed
from ipt_jax.training.journal import Cadence, Journal
from ipt_jax.training.prefetch import Prefetch
from ipt_jax.training.step import NEVER, StepMetrics, Trainer, TrainState

_log = logging.getLogger(__name__)
# Seconds for SmolLM2's programs on two cores of an AMD EPYC; layers are scanned, so depth hardly matters.
_COMPILE_STEP, _COMPILE_LOSSES = 8, 3


def train(
    trainer: Trainer,
    state: TrainState,
    lm_params: Any,
    feed: Feed,
    cadence: Cadence,
    checkpoints: Checkpoints,
    journal: Journal,
) -> TrainState:
    """Trains to the recipe's last step, or until no member is left whose loss is finite.

    Which examples step s sees is a function of s alone (`Feed.batch`), so a run that is resumed from its
    newest checkpoint does the very steps that an uninterrupted one does.

    Args:
      state: the state before the first step; also the template of what is restored.
      feed: asked for batches from a thread, while the step before runs.

    Returns:
      The last state; `best_prompt` holds what is to be used, `failed_step` who blew up and when.

    Raises:
      Preempted: SIGTERM came; the state after the step that was running is saved.
    """
    steps, title = trainer.recipe.steps, journal.title
    start = _on_host(trainer.adapter.fold(state.params))
    restored = checkpoints.restore(state)
    state = state if restored is None else restored
    done = int(state.step)
    journal.rewind(-1 if restored is None else done)  # the checkpoint of step 0 covers the dev loss of step 0
    if restored is not None:
        _log.info("%s: going on from step %d", title, done)

    def expect(what: str, seconds: float, batch: Batch) -> None:
        width = batch.tokens.shape[-1]
        compiling.expect(f"{what} for rows of {width} tokens", seconds, (trainer, what, jax.tree.map(np.shape, batch)))

    def measure(state: TrainState) -> TrainState:
        for batch in feed.dev:
            expect("the loss", _COMPILE_LOSSES, batch)
        losses = trainer.dev_loss(state.params, lm_params, feed.dev)
        sizes = monitors.sizes(_on_host(trainer.adapter.fold(state.params)), start)
        for k in range(len(losses)):
            if np.isfinite(losses[k]):
                journal.log(k, [{"step": int(state.step), "dev_loss": float(losses[k]), **sizes[k]}])
        return trainer.keep_best(state, losses)

    if restored is None:
        state = measure(state)
        if not np.isfinite(mesh.on_host(state.best_dev_loss)).any():
            raise InputError(
                f"{title}: the dev loss is not finite before the first step: the language model, its type or what the "
                "adapters start from is at fault, not the learning rate"
            )
        checkpoints.save(0, state)
    log = _MetricsLog(cadence.log, steps, journal, mesh.on_host(state.failed_step) != NEVER)

    def save(step: int, state: TrainState) -> None:
        jax.block_until_ready(state)
        with log.host_time():
            checkpoints.save(step, state)

    with (
        preemption.deferred() as preempted,
        Prefetch(feed.batch, done, steps) as batches,
        Progress(total=steps, initial=done, desc=title, unit="step", disable=not processes.is_first()) as progress,
    ):
        metrics = None
        for step in range(done + 1, steps + 1):
            before = batches.waited
            batch = batches.get(lambda running=metrics: running is None or running.loss.is_ready())
            log.waited += batches.waited - before
            expect("the training step", _COMPILE_STEP, batch)
            state, metrics = trainer.step(state, lm_params, feed.learning_rates, batch)
            log.take(step, metrics, examples=batch.tokens.shape[0] * batch.tokens.shape[1])
            progress.update()
            progress.say(log.shown)
            last = step == steps
            evaluate = last or step % cadence.evaluate == 0
            leave = preempted()
            saves = last or leave or step % cadence.checkpoint == 0
            if evaluate or saves:
                log.flush()  # what a checkpoint covers is on disk before it
            if evaluate:
                state = measure(state)
            if saves:
                save(step, state)
            if leave:
                told = (title, preemption.name(leave), step)
                _log.warning("%s: %s; step %d is saved, the same command goes on from there", *told)
                raise preemption.Preempted(leave)
            if log.failed.all():
                save(step, state)
                break
        log.flush()
    return jax.block_until_ready(state)


def _on_host(arrays: Any) -> Any:
    return jax.tree.map(mesh.on_host, arrays)


class _MetricsLog:
    """Fetches a step's metrics one step late, so that the device never waits for the host to read a number.

    The first and the last step have a row whatever the cadence, so that a short training has a curve.

    Attributes:
      shown: the last losses, for a progress bar.
      failed: bool[K], the members whose loss or gradient was not finite in a step fetched so far.
      waited: seconds since the last row in which the device had nothing to do and the host was busy.
    """

    def __init__(self, every: int, last: int, journal: Journal, failed: np.ndarray):
        self.shown = ""
        self.failed = failed
        self.waited = 0.0
        self._every, self._ends, self._journal = every, (1, last), journal
        self._pending: tuple[int, StepMetrics, int] | None = None
        self._since, self._examples = time.monotonic(), 0

    @contextlib.contextmanager
    def host_time(self) -> Iterator[None]:
        """Counts what is done inside as time in which the device waits."""
        started = time.monotonic()
        yield
        self.waited += time.monotonic() - started

    def take(self, step: int, metrics: StepMetrics, examples: int) -> None:
        self.flush()
        # Where other processes have a part of the numbers, they are gathered behind this step, before the next one.
        self._pending = (step, jax.tree.map(mesh.whole, metrics), examples)

    def flush(self) -> None:
        if self._pending is None:
            return
        step, metrics, examples = self._pending
        self._pending = None
        columns = {name: np.asarray(values) for name, values in metrics._asdict().items()}
        self.shown = "loss " + " ".join(f"{loss:.3f}" for loss in columns["loss"])
        self.failed = self.failed | ~(np.isfinite(columns["loss"]) & np.isfinite(columns["gradient_norm"]))
        self._examples += examples
        if step % self._every and step not in self._ends:
            return
        seconds = max(time.monotonic() - self._since, 1e-9)
        measured = {
            "examples_per_second": self._examples / seconds,
            "seconds": seconds,
            "host_wait": min(self.waited / seconds, 1.0),
        }
        self._since, self._examples, self.waited = time.monotonic(), 0, 0.0
        for k in range(len(columns["loss"])):
            row = {name: float(values[k]) for name, values in columns.items()}
            if all(map(math.isfinite, row.values())):  # a member that blew up is reported as failed instead
                self._journal.log(k, [{"step": step, **row, **measured}])
