"""What a run came to: the content of result.json, with everything that can change a score."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from typing import Any

import numpy as np

from ipt_jax.adapters.kinds import knows_positions
from ipt_jax.cost import arithmetic
from ipt_jax.experiment import evaluation
from ipt_jax.experiment.of_run import overlap_of, rows_of, teacher_rows_of
from ipt_jax.experiment.run import Run
from ipt_jax.rows.preparation import Preparer
from ipt_jax.runtime.accelerators import describe_devices
from ipt_jax.tasks.scores import headline
from ipt_jax.workdir.json_text import canonical_json

_VERSIONS = ("ipt_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "transformers", "datasets", "sacrebleu")


def result(
    preparer: Preparer,
    run: Run,
    member: evaluation.Member,
    training: dict[str, Any] | None,
    train_flop: float,
    measured: dict[str, Any],
) -> dict[str, Any]:
    """The score of a run and everything that can change it.

    Scores the predictions, see `evaluation.score`. The rest is read from files and from what is prepared: nothing is
    computed on a device, and no other process is asked.

    Args:
      member: the run's split and predictions, all of them written.
      training: of `population.describe_training`; None without steps.
      train_flop: of `training_flop`.
      measured: `seconds` and `compilations`.
    """
    settings, lm, task, split = run.settings, preparer.lm, preparer.task, member.split
    scores = evaluation.score(member)
    return {
        "run": run.id,
        "name": run.name,
        "task": task.name,
        "task_title": task.title,
        "task_options": dict(task.options),
        "split": settings.task.split,
        "model": lm.name,
        "model_fingerprint": lm.fingerprint,
        "model_revision": lm.revision,
        "method": run.method,
        "adapter": run.adapter.name if settings.prompt else None,
        "prompt_tokens": settings.layout.prompt_tokens,
        "demonstrations": settings.layout.demonstrations,
        "retriever": settings.layout.retriever,
        "layout": settings.layout.to_dict(),
        "prompt_source": _source_of(run),
        "seed": settings.seed,
        "metric": headline(task).name,
        "score": scores.corpus[headline(task).name],
        "scores": scores.to_dict(),
        "metrics": scores.described(),
        "examples": len(split.rows),
        "empty": evaluation.empty(member),
        "limit": settings.limit.to_dict(),
        "truncated": sum(row.truncated for row in split.rows),
        "demonstrations_dropped": sum(row.dropped for row in split.rows),
        "duplicates_excluded": split.duplicates_excluded,
        "decoding": settings.decoding.to_dict(),
        "training": training,
        "dtype": lm.dtype,
        "attention": settings.model.attention,
        "devices": describe_devices(),
        "arithmetic": {"train": train_flop, "evaluate": _evaluation_flop(preparer, run, member)},
        "overlap": overlap_of(preparer, run),
        **measured,
        "config_hash": hashlib.sha256(canonical_json(run.identity())).hexdigest(),
        "data_hash": run.data_hash,
        "versions": {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in _VERSIONS},
    }


def training_flop(preparer: Preparer, run: Run, order: int) -> float:
    """FLOP of the run's training, its prompt trained alone; `order` is the rule of its order of examples."""
    training = run.settings.training
    train, dev = (rows_of(preparer, run, split, with_target=True).rows for split in ("train", "dev"))
    taught = [teacher_rows_of(preparer, run, split) for split in ("train", "dev")]
    measured, config = training.dev_examples, preparer.lm.decoder.config
    rows = arithmetic.Learned(train, dev[:measured], taught[0], taught[1][:measured])
    before, seed = run.settings.layout.prompt_tokens, run.settings.seed
    return arithmetic.training_flop(config, training, before, rows, seed, order, knows_positions(run.settings))


def _evaluation_flop(preparer: Preparer, run: Run, member: evaluation.Member) -> float | None:
    """FLOP of the run's decoding, its rows decoded alone; None where it cannot be known any more."""
    config, written = preparer.lm.decoder.config, evaluation.written(member)
    if written is None:
        return None
    prompt_rows, sources = run.settings.layout.prompt_tokens, [row.tokens for row in member.split.rows]
    beams, lengths = run.settings.decoding.num_beams, [len(tokens) for tokens in sources]
    offered = evaluation.offered_lengths(preparer.lm, member)
    if offered:  # each is run behind its row, and nothing is written
        pairs = np.array([(n + more, more) for n, each in zip(lengths, offered, strict=True) for more in each])
        return float(arithmetic.row_flop(config, prompt_rows + pairs[:, 0], pairs[:, 1]).sum())
    prefill = arithmetic.prefill_flop(config, prompt_rows, sources, known=knows_positions(run.settings))
    return prefill + arithmetic.decoding_flop(config, prompt_rows, lengths, written, beams)


def _source_of(run: Run) -> dict[str, Any] | None:
    """Which run the prompt was taken from."""
    source = run.source
    return source and {"run": source.id, "task": source.settings.task.name, "method": source.method}
