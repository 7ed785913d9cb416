"""What devices can do: published peaks of some, measured rates of this machine, and how long work takes on one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ipt_jax.models.config import DecoderConfig
from ipt_jax.runtime import device_memory

# Of published peaks, the share that is assumed: a frozen model of a billion parameters with batches of some thousand
# tokens does not keep the matrix units of an accelerator as busy as the training of a large one.
PUBLISHED_SHARE = 0.3
# Of rates that were measured with the best of cases, large products and one long read.
MEASURED_SHARE = 0.6
# Assumed of accelerators: what a layer takes at least, however little there is to do in it; and what an exchange
# between devices takes at least, however little is sent.
LAYER_SECONDS = 50e-6
EXCHANGE_SECONDS = 10e-6


class Work(NamedTuple):
    """Something to be done on one device.

    Attributes:
      flop: arithmetic.
      bytes: what is read from the device's memory at the least.
      layers: how often a layer runs.
      sent: bytes that go out over the interconnect.
      exchanges: how often devices wait for one another.
    """

    flop: float
    bytes: float = 0.0
    layers: float = 0.0
    sent: float = 0.0
    exchanges: float = 0.0


@dataclasses.dataclass(frozen=True)
class Device:
    """One GPU, one TPU chip, or the CPUs of a machine.

    Attributes:
      flops: FLOP per second of dense bfloat16 products.
      bandwidth: bytes per second from its memory.
      memory: bytes.
      source: where the numbers are from.
      share: of all rates, what work is assumed to reach.
      itemsize: bytes of a number of the language model.
      is_cpu: whether it is the CPUs of a machine: nothing is launched on them, and few rows keep them busy.
      link: bytes per second, one way, over all links to other devices of its kind; 0 where it has none.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    source: str
    share: float = PUBLISHED_SHARE
    itemsize: int = 2
    is_cpu: bool = False
    link: float = 0.0

    @property
    def budget(self) -> float:
        """Bytes that a program may take."""
        return device_memory.USABLE_OF_DEVICE * self.memory

    def seconds(self, work: Work) -> float:
        """An estimate: as long as the slowest of arithmetic, memory and the mere number of layers, then what is sent.

        What is sent is added and not hidden behind the rest: a layer's sum over devices needs the product before it,
        and the next product needs the sum.
        """
        launching = 0.0 if self.is_cpu else work.layers * LAYER_SECONDS
        own = max(work.flop / (self.share * self.flops), work.bytes / (self.share * self.bandwidth), launching)
        return own + self.sending(work)

    def sending(self, work: Work) -> float:
        """The part of `seconds` in which devices wait for one another."""
        if not work.sent:
            return 0.0
        return max(work.sent / (self.share * self.link), work.exchanges * EXCHANGE_SECONDS)


# Dense rates: NVIDIA's datasheets of Hopper print twice as much for the tensor cores, "with sparsity". Links: what
# NVIDIA's datasheets give for NVLink is both ways together, twice the last column; the pages of v5e and v5p give Gbit/s
# one way (1,600 and 4,800); TPU v4 has six links of 50 GB/s (arXiv 2304.01433).
PUBLISHED = (
    Device("NVIDIA H200 SXM", 989e12, 4.8e12, 141e9, "NVIDIA H200 datasheet", link=450e9),
    Device("NVIDIA H100 SXM", 989e12, 3.35e12, 80e9, "NVIDIA H100 datasheet", link=450e9),
    Device("NVIDIA A100 SXM 80 GB", 312e12, 2.039e12, 80e9, "NVIDIA A100 datasheet", link=300e9),
    Device("TPU v5p chip", 459e12, 2.765e12, 95e9, "cloud.google.com/tpu/docs/v5p", link=600e9),
    Device("TPU v5e chip", 197e12, 0.819e12, 16e9, "cloud.google.com/tpu/docs/v5e", link=200e9),
    Device("TPU v4 chip", 275e12, 1.2e12, 32 * 2**30, "cloud.google.com/tpu/docs/v4", link=300e9),
)


def this_device(config: DecoderConfig, dtype: Any) -> Device:
    """The first device of this machine, its rates measured in a second or two, in a model's own shapes and type."""
    first = jax.devices()[0]
    on_cpu = first.platform == "cpu"
    return Device(
        "this machine" if on_cpu else f"this {first.device_kind}",
        matrix_rate(config, dtype),
        memory_rate(),
        device_memory.device_budget() / device_memory.USABLE_OF_DEVICE,
        "measured",
        share=MEASURED_SHARE,
        itemsize=jnp.dtype(dtype).itemsize,
        is_cpu=on_cpu,
    )


def matrix_rate(config: DecoderConfig, dtype: Any) -> float:
    """FLOP per second of a feed-forward product of the model with 2,048 rows, best of five.

    Of a large model it is a part of the product: the whole would take a CPU minutes and be no faster.
    """
    inner, outer = min(config.hidden_dim, 4096), min(config.mlp_dim, 8192)
    left, right = jnp.ones((2048, inner), dtype), jnp.ones((inner, outer), dtype)
    multiply = jax.jit(jnp.matmul)
    return 2.0 * 2048 * inner * outer / _best_seconds(lambda: multiply(left, right), 10)


def memory_rate() -> float:
    """Bytes per second of a matrix of 256 MiB that is read for its product with a vector, best of five."""
    matrix, vector = jnp.ones((2**13, 2**13), jnp.float32), jnp.ones(2**13, jnp.float32)
    multiply = jax.jit(jnp.dot)
    return matrix.nbytes / _best_seconds(lambda: multiply(matrix, vector), 3)


def _best_seconds(work: Callable[[], jax.Array], count: int) -> float:
    """Of one piece of work, the best mean over `count` that are asked for at once; on a CPU they are so one by one."""
    jax.block_until_ready(work())
    count = 1 if jax.default_backend() == "cpu" else count
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready([work() for _ in range(count)])
        seconds.append((time.perf_counter() - started) / count)
    return min(seconds)
