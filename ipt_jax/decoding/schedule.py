"""A list of rows → groups of few shapes, and how many rows a device decodes at once. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ipt_jax.decoding.settings import Search
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.sharding import part_of
from ipt_jax.runtime.shapes import round_up

# Shapes that a work list may have, at most and one for so many groups: each is a program to compile. A prefill is quick
# to compile, a decode step, whose layers are not scanned, is not.
_PREFILL_SHAPES, _GROUPS_PER_PREFILL = 10, 16
_DECODE_SHAPES, _GROUPS_PER_DECODE = 3, 16
# Arrays alive at once, in units of one: of a layer's activations in prefill, and of the logits of a step.
_ACTIVATIONS, _LOGITS = 3, 4
# Rows that enter together: an eighth of the slots, so that on average a sixteenth stands empty, but not one by one.
_ENTER_SHARE, _ENTER_LEAST = 8, 4


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows that are prefilled together.

    Attributes:
      rows: indices into the work list.
      width: tokens that each is padded to.
    """

    rows: tuple[int, ...]
    width: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a work list is decoded.

    Attributes:
      slots: rows that are decoded together; a slot is free again when its row is finished.
      entering: rows of a group; groups that are not full are filled up.
      groups: longest rows first, so that what is too big shows at once.
      contexts: tokens that slots have room for, widest first; the first are used until narrower ones do.
    """

    slots: int
    entering: int
    groups: tuple[Group, ...]
    contexts: tuple[int, ...]


def plan(lengths: Sequence[int], slots: int, limit: int, *, share: int = 1) -> Plan:
    """Sorts rows by length and cuts them into groups of few widths.

    Args:
      lengths: tokens of each row, at least one row.
      slots: at most so many; less for a short list.
      limit: tokens that no width passes; past the model's positions no token is real.
      share: devices that rows are spread over; divides slots and groups.
    """
    slots = min(slots, 1 << (len(lengths) - 1).bit_length())
    slots = max(1, slots // share) * share
    entering = rows_that_enter(slots, share)
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups = [tuple(order[i : i + entering]) for i in range(0, len(order), entering)]
    wanted = [min(round_up(lengths[group[0]]), limit) for group in groups]
    widths = few_widths(wanted, min(_PREFILL_SHAPES, 1 + len(groups) // _GROUPS_PER_PREFILL))
    chosen = [min(w for w in widths if w >= width) for width in wanted]
    contexts = few_widths(chosen, min(_DECODE_SHAPES, 1 + len(groups) // _GROUPS_PER_DECODE))
    return Plan(
        slots=slots,
        entering=entering,
        groups=tuple(Group(group, width) for group, width in zip(groups, chosen, strict=True)),
        contexts=tuple(reversed(contexts)),
    )


def few_widths(wanted: Sequence[int], count: int) -> list[int]:
    """At most `count` of the widths, rising, such that raising each wanted one to the next of them pads least.

    >>> few_widths([32, 32, 64, 96, 256], 2)
    [96, 256]
    """
    sizes = sorted(set(wanted))
    # best[j]: the least padded total of all that are no wider than sizes[j], the widest one chosen, and the choice.
    best = [(sum(w <= size for w in wanted) * size, [size]) for size in sizes]
    for _ in range(min(count, len(sizes)) - 1):
        best = [
            min(
                [best[j]]
                + [
                    (best[i][0] + sum(sizes[i] < w <= size for w in wanted) * size, [*best[i][1], size])
                    for i in range(j)
                ]
            )
            for j, size in enumerate(sizes)
        ]
    return best[-1][1]


def rows_that_enter(slots: int, share: int = 1) -> int:
    """How many rows are prefilled together, for so many slots over `share` devices."""
    return min(slots, math.ceil(max(_ENTER_LEAST, slots // _ENTER_SHARE) / share) * share)


def rows_that_fit(
    config: DecoderConfig, search: Search, *, positions: int, itemsize: int, budget: int, parts: int = 1
) -> int:
    """How many rows can be decoded at once in `budget` bytes, weights apart; at least one.

    Args:
      positions: of the longest context, prompt rows counted.
      itemsize: bytes of a number in the cache.
      parts: devices that share the model; each has its part of the cache.
    """
    beams = max(search.num_beams, search.num_return_sequences if search.do_sample else 1)
    config = part_of(config, parts)
    kept = 2 * config.num_layers * config.num_kv_heads * config.head_dim * itemsize  # of one position
    inner = config.mlp_dim * (2 if config.gated_mlp else 1) + 4 * config.hidden_dim
    in_slot = (
        2 * positions * kept  # as it lies, and while it is cut to a narrower room
        + beams * search.max_new_tokens * kept
        + _LOGITS * 4 * beams * config.vocab_size
    )
    entering = 2 * positions * kept + _ACTIVATIONS * positions * inner * itemsize  # stacked, and cut into layers
    few = min(_ENTER_LEAST, budget // (in_slot + entering))  # all of them enter together
    some = (budget - _ENTER_LEAST * entering) // in_slot  # four at a time
    many = int(budget / (in_slot + entering / _ENTER_SHARE))
    return max(1, few, min(some, many))
