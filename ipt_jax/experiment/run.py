"""One resolved configuration, and its id."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from ipt_jax.adapters.initialisation import initialisation_code
from ipt_jax.adapters.kinds import Kind, kind_of
from ipt_jax.errors import InputError
from ipt_jax.experiment import schema
from ipt_jax.experiment.schema import LATER_SECTIONS
from ipt_jax.retrieval import retriever_code
from ipt_jax.tasks import own_code
from ipt_jax.workdir.names import FROM_A_FILE, IN_CHAT, TAUGHT, method_label, run_id, shots_label
from ipt_jax.workdir.run_folder import RunFolder

_BEFORE = schema.before()
# What run.json says beside `Run.identity`.
BESIDE_IDENTITY = ("name", "method", "data_dir", "model_fingerprint")


@dataclasses.dataclass(frozen=True)
class Run:
    """One fully resolved configuration.

    Attributes:
      name: its key in `config.runs`, for people.
      settings: the sections that decide the result. `prompt` is None without prompt rows, `training` is
        None without training steps, and leaves that cannot matter have their neutral value, so that equal
        experiments have equal ids whatever they were called.
      data_hash: sha256 of the data that the run reads.
      source: the run whose prompt it takes, see `prompt_sources`.
    """

    name: str
    settings: ml_collections.FrozenConfigDict
    data_hash: str
    source: Run | None = None

    @property
    def id(self) -> str:
        return run_id(self.identity())

    def identity(self) -> dict[str, Any]:
        """What the id is a hash of: data by content, not by path."""
        settings = _without_usual(self.settings.to_dict())
        settings = {name: each for name, each in settings.items() if each is not None or name not in LATER_SECTIONS}
        del settings["task"]["data_dir"]
        code = self._own_code()
        return {**settings, "data_hash": self.data_hash, **({"code": code} if code else {})}

    def _own_code(self) -> dict[str, str]:
        """Hashes of the code of what the run uses that is not of the package, by the setting that names it."""
        settings, found = self.settings, own_code(self.settings.task.name, self.settings.task.options.to_dict())
        if settings.layout.retriever is not None:
            found["layout.retriever"] = retriever_code(settings.layout.retriever)
        if settings.prompt and self.source is None:
            found["prompt.initialisation"] = initialisation_code(settings.prompt.initialisation)
        return {place: hash for place, hash in found.items() if hash}

    @property
    def steps(self) -> int:
        return self.settings.training.steps if self.settings.training else 0

    @property
    def adapter(self) -> Kind:
        """What kind of adapter it trains or takes; a soft prompt of no rows where it has none."""
        return kind_of(self.settings)

    @property
    def method(self) -> str:
        layout, prompt = self.settings.layout, self.settings.prompt
        label = method_label(
            layout.prompt_tokens,
            layout.demonstrations,
            layout.retriever,
            self.steps,
            self._prompt_label() if prompt else None,
            layout.selection,
            self.adapter.name if prompt else "prompt",
        )
        label += IN_CHAT if layout.chat else ""
        taught = self.settings.training.teacher_demonstrations if self.settings.training else 0
        return label + (TAUGHT.format(shots_label(taught, layout.retriever, layout.selection)) if taught else "")

    def trained_file(self, workdir: Path) -> Path:
        """Where its adapter is once it is trained."""
        folder = RunFolder(workdir, self.id)
        return folder.prompt if self.adapter.name == "prompt" else folder.adapter

    @property
    def depth(self) -> int:
        """How many runs must be finished before it, one after another."""
        return 0 if self.source is None else 1 + self.source.depth

    def _prompt_label(self) -> str:
        """Where a loaded prompt comes from; nothing where it starts from its initialiser."""
        if self.source is None:
            return FROM_A_FILE if self.settings.prompt.source else ""
        own = self.source.settings.task.name == self.settings.task.name
        return self.source.method if own else f"{self.source.method} of {self.source.settings.task.name}"


def _without_usual(settings: dict[str, Any]) -> dict[str, Any]:
    for section, usual in _BEFORE.items():
        if settings[section]:
            settings[section] = {
                leaf: value for leaf, value in settings[section].items() if leaf not in usual or value != usual[leaf]
            }
    return settings


def settings_of(described: Mapping[str, Any], place: str | os.PathLike) -> ml_collections.FrozenConfigDict:
    """The settings that a run's `run.json` describes: what `Run.identity` made of them, undone.

    Raises:
      InputError: a section is missing; `place` begins the message.
    """

    def tuples(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: tuples(each) for key, each in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    missing = [name for name in schema.DECIDES if name not in described and name not in LATER_SECTIONS]
    if missing:
        raise InputError(f"{place}: does not describe a run: {', '.join(missing)} missing")
    settings = {section: tuples(described.get(section)) for section in schema.DECIDES}
    for section, usual in _BEFORE.items():
        if settings[section]:
            settings[section] = {**usual, **settings[section]}
    settings["task"] = {**settings["task"], "data_dir": described.get("data_dir", "")}
    return ml_collections.FrozenConfigDict(settings)
