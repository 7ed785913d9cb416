"""A number of equal devices with their interconnect, and the ways to split them into groups that share a model."""

from __future__ import annotations

import dataclasses
import re

from ipt_jax.cost.hardware import PUBLISHED, Device
from ipt_jax.errors import InputError
from ipt_jax.runtime.mesh import Spread

# What `--plan` shows besides single devices.
DEFAULT = "1 x NVIDIA H200 SXM, 8 x NVIDIA H200 SXM, 64 x TPU v5e chip"


@dataclasses.dataclass(frozen=True)
class Split:
    """Devices as a mesh: `data` groups that share out the rows, of `model` devices that share one copy of the model.

    One device is a split of one group of one.
    """

    device: Device
    data: int = 1
    model: int = 1

    @property
    def spread(self) -> Spread:
        return Spread(self.data, self.model)

    @property
    def count(self) -> int:
        return self.data * self.model

    @property
    def name(self) -> str:
        return f"{self.count} x {self.device.name}"


def parse(text: str) -> list[tuple[int, Device]]:
    """The numbers and devices of a list such as `DEFAULT`.

    Raises:
      InputError: an entry that is no "N x NAME", or a name that no published device has.
    """
    known = {device.name.lower(): device for device in PUBLISHED}
    found = []
    for entry in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(.+?)\s*", entry)
        if match is None or not int(match[1]) or match[2].lower() not in known:
            raise InputError(
                f"--slices: {entry.strip()!r} is not a number of known devices; write N x NAME, separated by commas, "
                f"with a NAME of {', '.join(device.name for device in PUBLISHED)}"
            )
        found.append((int(match[1]), known[match[2].lower()]))
    return found


def splits(count: int, device: Device) -> list[Split]:
    """All ways to split so many devices, the one with the most groups first.

    >>> [(split.data, split.model) for split in splits(6, PUBLISHED[0])]
    [(6, 1), (3, 2), (2, 3), (1, 6)]
    """
    return [Split(device, count // model, model) for model in range(1, count + 1) if count % model == 0]
