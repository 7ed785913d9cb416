"""How much arithmetic a run takes: FLOP of training and of evaluation, from the lengths of its rows.

A multiply-add is two. Counted is what no implementation could avoid, on real tokens: products with the frozen weights
and the two products of attention. Left out are padding, what is computed again to save memory, windows of attention
(every position is counted as if it saw all before it), what is elementwise, the optimizer and the prompt's own MLP: the
last four are well under a percent for the paper's models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ipt_jax.decoding.shared_beginnings import worthwhile_cut
from ipt_jax.models.config import DecoderConfig
from ipt_jax.rows.flat_rows import row_sizes, shared_tokens
from ipt_jax.rows.layout import Row
from ipt_jax.rows.order import RULE, Order

Numbers = float | np.ndarray


def block_flop(config: DecoderConfig) -> float:
    """FLOP of one position through all layers' weights, forward; attention's own products are left out."""
    return float(config.num_layers * sum(_layer_flop(config)))


def row_flop(
    config: DecoderConfig, positions: Numbers, outputs: Numbers, before: Numbers = 0, *, gradient: bool = False
) -> Numbers:
    """FLOP of running `positions` of a row, forward; elementwise where the counts are arrays.

    The last layer makes keys and values of all positions, and only `outputs` of them go on to the vocabulary.

    Worked example, a prefill and a decode step of a row of 10 positions: `row_flop(config, 10, 1)` and then
    `row_flop(config, 1, 1, before=10)`.

    Args:
      before: positions that stand in a cache, seen by all of these.
      gradient: with the gradient with respect to what runs through the layers. The weights are frozen, so it takes
        each product with them once more; either operand of attention's products gets one, so it takes those twice.
    """
    keys_values, rest = _layer_flop(config)
    of_weights, of_scores = (2, 3) if gradient else (1, 1)
    pair = 4.0 * config.num_heads * config.head_dim  # of one query and one key: their product, and that with the value
    pairs = positions * before + positions * (positions + 1) / 2
    edge = 2.0 * config.embed_dim * config.hidden_dim if config.embed_dim != config.hidden_dim else 0.0
    weights = (
        positions * (edge + (config.num_layers - 1) * (keys_values + rest) + keys_values)
        + outputs * (rest + edge + 2.0 * config.embed_dim * config.vocab_size)
    )  # fmt: skip
    scores = pair * ((config.num_layers - 1) * pairs + outputs * (before + positions))
    return of_weights * weights + of_scores * scores


class Learned(NamedTuple):
    """Rows that a prompt learns from, and those that its dev loss is measured on.

    Attributes:
      train: of which batches are drawn; all of them, for an exact count.
      train_teachers, dev_teachers: what a teacher sees of each, where there is one.
    """

    train: Sequence[Row]
    dev: Sequence[Row]
    train_teachers: Sequence[Row] = ()
    dev_teachers: Sequence[Row] = ()


def training_flop(
    config: DecoderConfig,
    training: Any,
    prompt_rows: int,
    rows: Learned,
    seed: int,
    rule: int = RULE,
    known: bool = False,
) -> float:
    """FLOP of training one prompt: every row as often as it is drawn, and the dev losses.

    The prompt is counted once for each, and so is what all rows begin with.

    Args:
      training: `config.training` of the run.
      prompt_rows: P.
      seed, rule: of `Order`.
      known: whether keys and values of the P positions are what is trained, so that these are not run: of a prefix.
    """
    order = Order(seed, row_sizes(rows.train)[:, 0], training.batch_size, training.group_by_length, rule)
    shared = shared_tokens(rows.train, rows.dev)
    learned = order.times_drawn(training.steps) @ _learning_flop(config, prompt_rows, shared, rows.train, gradient=True)
    first = (shared, prompt_rows) if known else (prompt_rows + shared, 0)
    learned += training.steps * row_flop(config, first[0], 0, before=first[1], gradient=True)
    measured = _learning_flop(config, prompt_rows, shared, rows.dev, gradient=False).sum()
    if rows.train_teachers:
        learned += order.times_drawn(training.steps) @ _learning_flop(config, 0, 0, rows.train_teachers, gradient=False)
        measured += _learning_flop(config, 0, 0, rows.dev_teachers, gradient=False).sum()
    measured += row_flop(config, first[0], 0, before=first[1])
    return float(learned + (1 + math.ceil(training.steps / training.eval_every)) * measured)


def prefill_flop(
    config: DecoderConfig, prompt_rows: int, sources: Sequence[Sequence[int]], *, known: bool = False
) -> float:
    """FLOP of running the inputs of one prompt: what they begin with is run once, as `prefix` does it.

    Args:
      sources: token ids of each input.
      known: as of `training_flop`.
    """
    cut = worthwhile_cut([(0, tokens) for tokens in sources], prompt_rows)
    lengths = np.array([len(tokens) for tokens in sources], float)
    if cut is None:
        rows = row_flop(config, lengths, 1, before=prompt_rows) if known else row_flop(config, prompt_rows + lengths, 1)
        return float(rows.sum())
    covered, beginnings = cut
    first = (covered, prompt_rows) if known else (prompt_rows + covered, 0)
    shared = beginnings * row_flop(config, first[0], 0, before=first[1])
    return float(shared + row_flop(config, lengths - covered, 1, before=prompt_rows + covered).sum())


def decoding_flop(
    config: DecoderConfig, prompt_rows: int, lengths: Sequence[int], written: Sequence[int], beams: int = 1
) -> float:
    """FLOP of the steps after the prefill, which gives the first token; the last token is not run.

    Args:
      lengths: tokens of each input.
      written: tokens that came out for each, the one that stopped it counted.
      beams: each is counted with as many tokens as the best one wrote.
    """
    steps = np.maximum(np.array(written, float) - 1, 0)
    # Each step sees one position more than the step before: on average those of the step in the middle.
    middle = prompt_rows + np.array(lengths, float) + np.maximum(steps - 1, 0) / 2
    return float(beams * (steps * row_flop(config, 1, 1, before=middle)).sum())


def _layer_flop(config: DecoderConfig) -> tuple[float, float]:
    """FLOP of one position with a layer's weights: for its key and value, and for all else."""
    keys_values = 2.0 * config.hidden_dim * 2 * config.num_kv_heads * config.head_dim
    query_and_out = 2.0 * config.hidden_dim * 2 * config.num_heads * config.head_dim
    mlp = 2.0 * config.hidden_dim * config.mlp_dim * (3 if config.gated_mlp else 2)
    return keys_values, query_and_out + mlp


def _learning_flop(
    config: DecoderConfig, prompt_rows: int, shared: int, rows: Sequence[Row], *, gradient: bool
) -> np.ndarray:
    """f64[len(rows)], of rows whose targets are to be predicted, behind keys and values of prompt and shared tokens."""
    lengths, targets = row_sizes(rows).astype(float).T
    return row_flop(config, lengths - shared, targets, before=prompt_rows + shared, gradient=gradient)
