"""What devices send one another in a training step, a prefill and a decode step, from the layout of the model alone.

`tests/benchmarks/test_compiled.py` holds these counts and bytes against the collectives of the compiled programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.sharding import spread_heads
from ipt_jax.runtime.mesh import Spread

ALL_REDUCE, ALL_GATHER = "all-reduce", "all-gather"
_FLOAT32 = 4


class Collective(NamedTuple):
    """An exchange between all devices along an axis of the mesh.

    Attributes:
      kind: as XLA names it.
      axis: `data` or `model`.
      bytes: of the array that each device ends up with.
      count: how often it takes place.
    """

    kind: str
    axis: str
    bytes: float
    count: float = 1.0

    def sent(self, devices: int) -> float:
        """Bytes that each of so many devices sends in a ring, all `count` of them.

        An all-reduce goes round twice: parts are summed up, and the sums are handed on.
        """
        rounds = 2 if self.kind == ALL_REDUCE else 1
        return self.count * self.bytes * rounds * (devices - 1) / devices


class Rows(NamedTuple):
    """What one group of devices runs at once.

    Attributes:
      tokens: of all its rows, without prompt rows.
      positions: the same with them.
      outputs: positions that reach the output projection.
      prompts: positions of the prompts that run once for all rows.
    """

    tokens: float
    positions: float
    outputs: float
    prompts: float = 0.0


def training_step(
    config: DecoderConfig,
    spread: Spread,
    rows: Rows,
    *,
    itemsize: int,
    gradient_bytes: float,
    recomputed: bool = False,
    added_first: bool = True,
) -> list[Collective]:
    """Of a step's loss and gradient. The sums of a few numbers (losses, counts) over `data` are left out.

    Args:
      rows: of one of the `data` groups; their positions are their tokens.
      itemsize: bytes of a number in the model's activations.
      gradient_bytes: of the rows of the prompts whose gradient is summed over `data`.
      recomputed: whether the backward pass runs each layer again, see `models.rematerialisation`.
      added_first: whether the gradients to a common input (of query, key and value; of gate and up) are added up on
        each device and then summed over devices, as XLA does for GPUs (its pass all-reduce-reassociate). For CPUs it
        sums each of them.
    """
    data, model = spread
    config = spread_heads(config, model)
    found = [Collective(ALL_REDUCE, "data", gradient_bytes)] if data > 1 else []
    found += _embedding(config, model, rows.tokens, itemsize)
    width, layers = config.hidden_dim * itemsize, config.num_layers - 1
    attention, keys, mlp = (_cut(size, model) for size in (config.num_heads, config.num_kv_heads, config.mlp_dim))
    to_attention = max(attention, keys) if added_first else attention + 2 * keys
    to_mlp = mlp if added_first or not config.gated_mlp else 2 * mlp
    # A sum where attention and feed-forward network end, forward, and where they begin, backward. A layer is computed
    # again up to the feed-forward network's inner numbers: no gradient needs the sum behind them.
    sums = attention * (1 + recomputed) + to_attention + mlp + to_mlp
    # In the last layer only keys and values are of all positions.
    sums = layers * sums + (keys if added_first else 2 * keys)
    found += [Collective(ALL_REDUCE, "model", positions * width, sums) for positions in (rows.positions, rows.prompts)]
    found.append(Collective(ALL_REDUCE, "model", rows.outputs * width, 2 * attention + mlp + to_mlp))
    if _cut(config.vocab_size, model):
        # Of each target row: largest logit, sum of the softmax, the target's own row of the table, and the gradient.
        found.append(Collective(ALL_REDUCE, "model", rows.outputs * _FLOAT32, 2))
        found.append(Collective(ALL_REDUCE, "model", rows.outputs * config.embed_dim * itemsize))
        found.append(Collective(ALL_REDUCE, "model", rows.outputs * config.embed_dim * _FLOAT32))
    return _merged(found)


def inference(config: DecoderConfig, model: int, rows: Rows, *, itemsize: int) -> list[Collective]:
    """Of a prefill, or of a decode step, where every row has one position that goes through all layers.

    Args:
      rows: of one group of devices. Only its `outputs` go on from the last layer's keys and values.
    """
    width, layers = config.hidden_dim * itemsize, config.num_layers - 1
    attention, mlp = _cut(config.num_heads, model), _cut(config.mlp_dim, model)
    found = _embedding(config, model, rows.tokens, itemsize)
    found += [Collective(ALL_REDUCE, "model", rows.positions * width, layers * (attention + mlp))]
    found += [Collective(ALL_REDUCE, "model", rows.outputs * width, attention + mlp)]
    if _cut(config.vocab_size, model):
        # The best of each device's words and its place are gathered; largest logit and sum of the softmax are reduced,
        # and the logit of the chosen word.
        found.append(Collective(ALL_GATHER, "model", rows.outputs * model * _FLOAT32, 2))
        found.append(Collective(ALL_REDUCE, "model", rows.outputs * _FLOAT32, 3))
    return _merged(found)


def total(collectives: Iterable[Collective], spread: Spread) -> tuple[float, float]:
    """Bytes that a device sends in all of them, and how many there are."""
    sizes, all_of = spread._asdict(), list(collectives)
    return sum(each.sent(sizes[each.axis]) for each in all_of), sum(each.count for each in all_of)


def _cut(size: int, parts: int) -> int:
    """1 where the layout cuts something of this size, else 0."""
    return int(parts > 1 and size % parts == 0)


def _embedding(config: DecoderConfig, model: int, tokens: float, itemsize: int) -> list[Collective]:
    """Each device has the rows of its own words, and zeros for the others."""
    return [Collective(ALL_REDUCE, "model", tokens * config.embed_dim * itemsize)] * _cut(config.vocab_size, model)


def _merged(collectives: Iterable[Collective]) -> list[Collective]:
    """Those that are alike as one, with their counts added."""
    counts: dict[tuple[str, str, float], float] = {}
    for kind, axis, size, count in collectives:
        if count and size:
            counts[kind, axis, size] = counts.get((kind, axis, size), 0.0) + count
    return [Collective(*key, count) for key, count in counts.items()]
