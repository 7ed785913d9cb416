"""What is to be continued: it goes through decoding whole, and comes out beside its answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """A row to be continued. Two are never equal: each is asked for itself, and may be a key of a dict.

    Attributes:
      tokens: what it begins with, after the soft prompt; with the tokenizer's BOS where it has one.
      adapter: index of what was trained for it, of those that `generate` is given.
      id: what its draws depend on besides the seed.
      name: what to call it in an error.
    """

    tokens: Sequence[int]
    adapter: int = 0
    id: str | int = 0
    name: str = "the row"
