"""The arithmetic of a training step that nobody could avoid: what seconds are a share of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def needed_flop(
    config: Any, prompt_rows: int, rows: Sequence[tuple[int, int]], members: int = 1, runs: bool = True
) -> float:
    """FLOP of a step of which every member learns from such rows; a multiply-add is two.

    Counted are the products with every frozen matrix, forward and back to what entered them, for the prompt rows once
    a member and for real tokens; attention's products, forward and back to both operands, between real positions, rows
    seeing the prompt's; and the last layer's queries and feed-forward network, and the output projection, for the
    targets alone. No gradient is taken to a frozen weight. Not counted are padding, whatever is computed a second time,
    what is elementwise, and the optimizer. That nobody needs the first layer's gradient to tokens is left aside.

    Worked example, one matrix of 2 × 2 numbers and nothing else: a prompt of 3 rows and two rows of 4 tokens are
    3 + 4 + 4 positions · 2 (forward and back) · 2 · 4 = 176.

    Args:
      config: `DecoderConfig`.
      prompt_rows: P.
      runs: whether the prompt's rows go through the layers; the keys and values of a prefix are there already.
      rows: tokens before the targets and targets of each row of a member, the prompt's not among them.
    """
    from ipt_jax.cost.arithmetic import row_flop

    sources, targets = np.array(rows, float).reshape(-1, 2).T
    prompt = row_flop(config, prompt_rows, 0, gradient=True) if runs else 0.0
    own = row_flop(config, sources + targets, targets, before=prompt_rows, gradient=True)
    return float(members * (prompt + own.sum()))
