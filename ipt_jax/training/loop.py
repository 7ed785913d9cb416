"""The training loop: ordered steps, dev losses, checkpoints, metrics; goes on where a kill left it."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from ipt_jax.adapters import monitors
from ipt_jax.errors import InputError
from ipt_jax.rows.batching import Batch
from ipt_jax.runtime import compiling, mesh, preemption, processes
from ipt_jax.training.checkpoints import Checkpoints
from ipt_jax.training.prefetch import Prefetch
from ipt_jax.training.step import NEVER, StepMetrics, Trainer, TrainState

_log = logging.getLogger(__name__)
# Seconds for SmolLM2's programs on two cores of an AMD EPYC; layers are scanned, so depth hardly matters.
_COMPILE_STEP, _COMPILE_LOSSES = 8, 3


def train(
    trainer: Trainer,
    state: TrainState,
    lm_params: Any,
    *,
    learning_rates: Sequence[float],
    batch_at: Callable[[int], Batch],
    dev_batches: list[Batch],
    eval_every: int,
    checkpoint_every: int,
    log_every: int,
    checkpoints: Checkpoints,
    write_metrics: Callable[[int, list[dict[str, float]]], None],
    rewind_metrics: Callable[[int], None],
    title: str,
) -> TrainState:
    """Trains to `trainer.steps`, or until no member is left whose loss is finite.

    Which examples step s sees is a function of s alone (`batch_at`), so a run that is resumed from its
    newest checkpoint does the very steps that an uninterrupted one does.

    Args:
      state: the state before the first step; also the template of what is restored.
      batch_at: step → batch with leading axis K; called from a thread, while the step before runs.
      dev_batches: measured before the first step, every `eval_every` steps and after the last.
      write_metrics: takes a member's index and rows to append to its metrics.
      rewind_metrics: told the last step whose rows are to be kept (-1: none); later ones will be written again.

    Returns:
      The last state; `best_prompt` holds what is to be used, `failed_step` who blew up and when.

    Raises:
      Preempted: SIGTERM came; the state after the step that was running is saved.
    """
    rates = np.asarray(learning_rates, np.float32)
    members = len(learning_rates)
    start = mesh.on_host(trainer.prompts.fold(state.params))
    restored = checkpoints.restore(state)
    state = state if restored is None else restored
    done = int(state.step)
    rewind_metrics(-1 if restored is None else done)  # the checkpoint of step 0 covers the dev loss of step 0
    if restored is not None:
        _log.info("%s: going on from step %d", title, done)

    def expect(what: str, seconds: float, batch: Batch) -> None:
        width = batch.tokens.shape[-1]
        compiling.expect(f"{what} for rows of {width} tokens", seconds, (trainer, what, jax.tree.map(np.shape, batch)))

    def measure(state: TrainState) -> TrainState:
        for batch in dev_batches:
            expect("the loss", _COMPILE_LOSSES, batch)
        losses = trainer.dev_loss(state.params, lm_params, dev_batches)
        sizes = monitors.sizes(mesh.on_host(trainer.prompts.fold(state.params)), start)
        for k in range(members):
            if np.isfinite(losses[k]):
                write_metrics(k, [{"step": int(state.step), "dev_loss": float(losses[k]), **sizes[k]}])
        return trainer.keep_best(state, losses)

    if restored is None:
        state = measure(state)
        if not np.isfinite(mesh.on_host(state.best_dev_loss)).any():
            raise InputError(
                f"{title}: the dev loss is not finite before the first step: the language model, its type or what the "
                "prompts start from is at fault, not the learning rate"
            )
        checkpoints.save(0, state)
    log = _MetricsLog(log_every, write_metrics, mesh.on_host(state.failed_step) != NEVER)

    def save(step: int, state: TrainState) -> None:
        jax.block_until_ready(state)
        with log.host_time():
            checkpoints.save(step, state)

    with (
        preemption.deferred() as preempted,
        Prefetch(batch_at, done, trainer.steps) as batches,
        tqdm(total=trainer.steps, initial=done, desc=title, unit="step", disable=not processes.is_first()) as progress,
    ):
        metrics = None
        for step in range(done + 1, trainer.steps + 1):
            before = batches.waited
            batch = batches.get(lambda running=metrics: running is None or running.loss.is_ready())
            log.waited += batches.waited - before
            expect("the training step", _COMPILE_STEP, batch)
            state, metrics = trainer.step(state, lm_params, rates, batch)
            log.take(step, metrics, examples=batch.tokens.shape[0] * batch.tokens.shape[1])
            progress.update()
            progress.set_postfix_str(log.shown, refresh=False)
            last = step == trainer.steps
            evaluate = last or step % eval_every == 0
            leave = preempted()
            saves = last or leave or step % checkpoint_every == 0
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


class _MetricsLog:
    """Fetches a step's metrics one step late, so that the device never waits for the host to read a number.

    Attributes:
      shown: the last losses, for a progress bar.
      failed: bool[K], the members whose loss or gradient was not finite in a step fetched so far.
      waited: seconds since the last row in which the device had nothing to do and the host was busy.
    """

    def __init__(self, every: int, write: Callable[[int, list[dict[str, float]]], None], failed: np.ndarray):
        self.shown = ""
        self.failed = failed
        self.waited = 0.0
        self._every, self._write = every, write
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
        if step % self._every:
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
                self._write(k, [{"step": step, **row, **measured}])
