"""What several devices together would take: bytes, arithmetic, exchanges and hours of the fastest split."""

from __future__ import annotations

from collections.abc import Sequence

from ipt_jax.cost.hardware import EXCHANGE_SECONDS, LAYER_SECONDS, PUBLISHED_SHARE, Device, Work
from ipt_jax.cost.spread import Split, splits
from ipt_jax.plan.forecast import Bytes, Forecast
from ipt_jax.tables import Table, text_block

_HEADER = (
    *("Devices", "Data x model", "Weights, GB", "Prompt, GB", "Step, GB", "Cache, GB"),
    *("TFLOP", "Sent, GB", "Arithmetic, ms", "Memory, ms", "Exchanges, ms", "Step, ms"),
    *("Training, h", "Evaluation, h"),
)
_NOTES = (
    "Data x model: groups of devices that share out the rows, times devices that share a copy of the model "
    "(config.execution.model_devices); of the splits that fit, the fastest.",
    "Bytes on each device, the most of all populations: weights (twice while decoding, stacked and layer by layer), a "
    "prompt with its optimizer, what a training step of it keeps and works with, cache of the rows decoded at once.",
    "Of a training step of the population that trains longest, for each device: arithmetic; bytes sent for sums over "
    "devices, in a ring; how long arithmetic, reading the weights, and exchanges take. Arithmetic and reading overlap, "
    "exchanges do not.",
    f"{PUBLISHED_SHARE:.0%} of published peaks, bandwidths and links (one way) are assumed; at least "
    f"{LAYER_SECONDS * 1e6:.0f} µs a layer and {EXCHANGE_SECONDS * 1e6:.0f} µs an exchange. All devices of a line are "
    "taken to be linked as within one machine or slice. Dense retrieval is not counted.",
)


def fastest(forecasts: Sequence[Forecast], count: int, device: Device) -> Split | None:
    """The split of the devices that does all of the work soonest; None where not everything fits any of them."""
    fitting = [split for split in splits(count, device) if all(each.fits(split) for each in forecasts)]
    return min(fitting, key=lambda split: sum(sum(each.seconds(split)) for each in forecasts), default=None)


def largest(forecasts: Sequence[Forecast], split: Split) -> Bytes:
    """Of each kind of bytes on a device the most that any population takes."""
    return Bytes(*(max(column) for column in zip(*(each.bytes(split) for each in forecasts), strict=True)))


def longest_step(forecasts: Sequence[Forecast], split: Split) -> Work | None:
    """A step of the population that trains longest; None where nothing is trained."""
    trained = [each for each in forecasts if each.steps]
    if not trained:
        return None
    return max(trained, key=lambda each: each.seconds(split)[0]).step(split)


def describe(forecasts: Sequence[Forecast], slices: Sequence[tuple[int, Device]]) -> str:
    """A table for each language model, with a row for each number of devices."""
    blocks = []
    for lm in dict.fromkeys(each.lm for each in forecasts):
        own = [each for each in forecasts if each.lm is lm]
        blocks.append(text_block([f"{lm.name} on several devices together"], table(own, slices), []).rstrip())
    return "\n\n".join([*blocks, "\n".join(_NOTES)])


def table(forecasts: Sequence[Forecast], slices: Sequence[tuple[int, Device]]) -> Table:
    """Of one language model."""
    return Table(list(_HEADER), [_row(forecasts, *each) for each in slices])


def _row(forecasts: Sequence[Forecast], count: int, device: Device) -> list[str]:
    split = fastest(forecasts, count, device)
    if split is None:
        return [Split(device, count).name, "does not fit", *["–"] * (len(_HEADER) - 2)]
    held, work = largest(forecasts, split), longest_step(forecasts, split)
    step = ["–"] * 6
    if work:
        parts = (Work(work.flop), Work(0.0, work.bytes))
        milliseconds = [*map(device.seconds, parts), device.sending(work), device.seconds(work)]
        step = [f"{work.flop / 1e12:,.3g}", f"{work.sent / 1e9:,.3g}", *(f"{1e3 * each:,.3g}" for each in milliseconds)]
    hours = (sum(column) / 3600 for column in zip(*(each.seconds(split) for each in forecasts), strict=True))
    return [
        split.name,
        f"{split.data} x {split.model}",
        *(f"{each / 1e9:,.3g}" for each in (held.weights, held.prompts, held.activations, held.cache)),
        *step,
        *(rounded(each) for each in hours),
    ]


def rounded(number: float) -> str:
    """130.4 → '130', 1.26 → '1.3', 0.0132 → '0.013', 0.001 → '< 0.01'."""
    if number < 0.01:
        return "< 0.01"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
