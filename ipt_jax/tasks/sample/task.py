"""The synthetic sample: a small data-to-text set in DART's format that ships with the package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.tasks import dart
from ipt_jax.tasks.base import Example, check_split
from ipt_jax.tasks.reading import find_file

SAMPLE_DATA = Path(__file__).parent / "sample_data"


class Sample:
    """The shipped files, or others of `make_sample` in `data_dir`; invented entities, so no score is a DART score."""

    name = "sample"
    title = "Synthetic sample"
    metrics = dart.METRICS
    reader_version = 1
    options: Mapping[str, Any] = {}

    def __init__(self, data_dir: str | os.PathLike[str] | None = None):
        self._folder = Path(data_dir) if data_dir else SAMPLE_DATA

    def files(self, split: str) -> tuple[Path, ...]:
        name = f"{check_split(split)}.json"
        path = find_file(self._folder, name)
        if path is None:
            raise InputError(
                f"{name}.gz of the synthetic sample is not in {str(self._folder)!r}: unset config.task.data_dir to use "
                "the files in the package, or write them with 'python -m ipt_jax.tasks.sample.make --output_dir=…'"
            )
        return (path,)

    def read(self, split: str) -> Iterator[Example]:
        (path,) = self.files(split)
        return (example for _, example in dart.read_dart(path, split))
