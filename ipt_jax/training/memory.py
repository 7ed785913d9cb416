"""How much device memory a training step takes, estimated before anything is compiled, and how many prompts fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ipt_jax.adapters.kinds import kind_of
from ipt_jax.models.attention.blocked import block_length
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.sharding import part_of
from ipt_jax.runtime.mesh import Spread
from ipt_jax.runtime.shapes import few_shapes
from ipt_jax.training.losses import members_at_once
from ipt_jax.training.word_blocks import block_words

# Arrays alive at once while a layer's gradient is computed: of its attention scores (blocks on and below the diagonal),
# and of the feed-forward network's inner rows; in the forward pass without rematerialisation, of the latter alone,
# because attention makes its scores again. Of the logits: themselves and their gradient. Of a prompt's parameters:
# themselves, two moments, gradient, update and the best rows. tests/test_memory.py compares the sum with the
# compiler's own account and states how far off it may be.
_SCORES, _INNER, _INNER_KEPT, _LOGITS, _STATE = 2.5, 2, 5, 2, 6


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Bytes on one device.

    Attributes:
      weights: of the frozen language model.
      state: prompts, optimizer and gradients of all members.
      saved: what the forward pass keeps of every layer for the gradient.
      working: the most that is alive besides, in one block's gradient or at the output projection.
    """

    weights: int
    state: int
    saved: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.state + self.saved + self.working


class ModelBytes(NamedTuple):
    """The language model on one device.

    Attributes:
      weights: bytes of its parameters.
      itemsize: bytes of a number in its activations.
    """

    weights: int
    itemsize: int


@dataclasses.dataclass(frozen=True)
class StepShape:
    """What a step has on one device.

    Attributes:
      members, rows: prompts, and rows of each.
      length: tokens of a row.
      targets: rows of a row that reach the output projection.
      prompt_rows: of one member's prompt, which runs once for all its rows.
      at_once: members whose rows run as one batch, see `losses.members_at_once`; the others wait.
    """

    members: int
    rows: int
    length: int
    targets: int
    prompt_rows: int
    at_once: int


def training_step(
    config: DecoderConfig,
    shape: StepShape,
    model: ModelBytes,
    *,
    adapter_bytes: int,
    rematerialisation: str = "dots",
    fused_attention: bool = False,
) -> Estimate:
    """The bytes of a step on one device.

    Args:
      adapter_bytes: of one member's parameters.
      rematerialisation: see `models.rematerialisation`.
      fused_attention: whether scores never exist as a whole.
    """
    members, rows, length = shape.at_once, shape.rows, shape.length
    weights, itemsize = model
    outputs = members * rows * shape.targets
    tokens = members * (rows * length + shape.prompt_rows) * itemsize
    inner, groups = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    # Query, key, value, what attention gives, its projection, gate and up, down.
    products = 2 * inner + 2 * groups + 2 * config.hidden_dim + config.mlp_dim * (2 if config.gated_mlp else 1)
    kept = (
        config.hidden_dim
        + {"none": products + _INNER_KEPT * config.mlp_dim, "dots": products, "block": 0}[rematerialisation]
    )
    seen = length + block_length(length) + 2 * shape.prompt_rows  # keys of a query, twice: half of its own are masked
    squares = 0 if fused_attention else 4 * members * rows * config.num_heads * length * seen
    in_layer = int(_SCORES * squares / 2) + tokens * _INNER * config.mlp_dim
    in_layer += tokens * products if rematerialisation == "block" else 0
    words = block_words(outputs, config.vocab_size)
    at_head = words * (_LOGITS * 4 * outputs + config.embed_dim * itemsize)
    # The last layer runs for target rows only, and nothing of it is kept.
    saved = (config.num_layers - 1) * tokens * kept
    return Estimate(weights, shape.members * _STATE * adapter_bytes, saved, max(in_layer, at_head))


def step_estimate(
    decoder: FrozenDecoder,
    settings: Any,
    sizes: np.ndarray,
    members: int,
    policy: str,
    model: ModelBytes,
    spread: Spread,
) -> Estimate:
    """The bytes on one device of a step of so many members on the longest of the rows.

    Args:
      settings: of a run of the population.
      sizes: of the rows, see `flat_rows.row_sizes`, with those that a teacher sees.
      policy: what a gradient finds of each layer.
      spread: devices that a member's rows are spread over, and those that the model is.
    """
    config, training = decoder.config, settings.training
    prompt_rows = settings.layout.prompt_tokens
    ((tokens, targets),) = few_shapes(sizes.max(axis=0, keepdims=True), 1).tolist()
    rows = math.ceil(training.batch_size / training.accumulate / spread.data)
    return training_step(
        part_of(config, spread.model),
        StepShape(members, rows, tokens, targets, prompt_rows, members_at_once(members, rows * tokens + prompt_rows)),
        model,
        adapter_bytes=4 * kind_of(settings).numbers(settings, config),
        rematerialisation=policy,
        fused_attention=decoder.attention != "xla",
    )


def population_size(wanted: int, estimate: Callable[[int], Estimate], budget: int, multiple: int = 1) -> int:
    """How many of `wanted` prompts to train at once so that they fit, in populations of nearly equal size.

    Worked example: of 10 prompts at most 4 fit, so there are three populations, of 4, 4 and 2.

    Args:
      estimate: of so many prompts on one device.
      budget: bytes of a device.
      multiple: over how many devices a population's prompts are spread.

    Returns:
      A multiple of `multiple`, or `wanted`. At least one prompt a device: who asks for the impossible is told by it.
    """
    fitting = next((n for n in range(math.ceil(wanted / multiple), 1, -1) if estimate(n).total <= budget), 1) * multiple
    if fitting >= wanted:
        return wanted
    even = math.ceil(wanted / math.ceil(wanted / fitting))
    return math.ceil(even / multiple) * multiple
