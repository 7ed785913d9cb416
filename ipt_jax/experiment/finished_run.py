"""A run's folder as something to go on with: other inputs are continued as the run continued its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ipt_jax.adapters.files import check_prompt
from ipt_jax.adapters.kinds import kind_of
from ipt_jax.adapters.trained import injection_of, load_adapter
from ipt_jax.decoding import choosing, generation
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.strategy import Generation
from ipt_jax.errors import InputError
from ipt_jax.experiment.of_run import injected
from ipt_jax.experiment.prompt_sources import PREFIX
from ipt_jax.experiment.run import BESIDE_IDENTITY, settings_of
from ipt_jax.models import loading
from ipt_jax.rows.layout import Row
from ipt_jax.rows.preparation import Preparer, layout_of
from ipt_jax.runtime.caches import cache_dir
from ipt_jax.tasks import task_of
from ipt_jax.tasks.base import Example, choices_of, data_hash, is_there, splits_of
from ipt_jax.workdir.json_files import read_json
from ipt_jax.workdir.names import run_id
from ipt_jax.workdir.run_folder import RunFolder


class FinishedRun:
    """A run with its language model, prompt, template, demonstrations and search; make one with `load_run`.

    Attributes:
      method: as tables call it.
      settings: the run's, as `run.json` has them.
      lm: its language model.
      prompt: what was trained or taken: f32[P, E], where P = 0 without any, or another adapter of `load_adapter`.
      injected: what the decoder gets of it.
      search: how it continues a row.
      template: what lays an input out, and says what of a continuation is the answer.
    """

    def __init__(self, folder: str | os.PathLike, *, model: str = "", dtype: str = "", data_dir: str = ""):
        """See `load_run`."""
        self._folder = RunFolder(Path(folder).resolve().parents[1], Path(folder).resolve().name)
        described = _described(self._folder)
        described["data_dir"] = data_dir or _data_dir(described, self._folder)
        self.method, self.settings = str(described.get("method")), settings_of(described, self._folder.run_json)
        chosen = self.settings.model
        self.lm = loading.load(
            model or chosen.source,
            dtype=loading.resolve_dtype(dtype) if dtype else chosen.dtype,
            revision="" if model else chosen.revision,
            attention=chosen.attention,
        )
        found = load_adapter(_trained_at(self._folder, self.settings)) if self.settings.prompt else None
        self.prompt = found if hasattr(found, "kind") else check_prompt(found, self.lm)
        self.injected = injected(self.lm, self.settings, injection_of(self.prompt, self.lm))
        self.search = Search(**self.settings.decoding.to_dict())
        self.template = layout_of(self.settings, self.lm.tokenizer).template
        self._data_hash = str(described.get("data_hash"))
        self._prepared: Preparer | None = None

    def describe(self) -> str:
        """What is done with an input, in one line."""
        layout, shown = self.settings.layout, "no demonstrations"
        if layout.demonstrations:
            shown = f"{layout.demonstrations} demonstrations ({layout.retriever}) from the training data of its task"
        beams = f"{self.search.num_beams} beams" if self.search.num_beams > 1 else "greedy search"
        kind = kind_of(self.settings)
        rows = f"{layout.prompt_tokens} prompt rows" if layout.prompt_tokens else "no soft prompt"
        if kind.name != "prompt":
            rows = f"{kind.title} of {layout.prompt_tokens} positions" if layout.prompt_tokens else kind.title
        template = "the model's chat template" if layout.chat else "its template"
        chosen = "sampling" if self.search.do_sample else beams
        name = f"run {self._folder.run_id} ({self.method}) of {self.lm.name}"
        return f"inputs are continued as by {name}: {rows}, {template}, {shown}, {chosen}"

    def rows(self, ids: Sequence[str], texts: Sequence[str]) -> list[Row]:
        """The inputs laid out, each with the demonstrations that the run's retriever finds for it.

        Raises:
          InputError: an input does not fit, or the data that demonstrations come from is missing or is not the run's.
        """
        if self._prepared is None:
            self._prepared = Preparer(self.lm, task_of(self.settings.task), cache_dir(""))
            if self.settings.layout.demonstrations:
                self._check_data(self._prepared)
        return self._prepared.continued(self.settings, ids, texts)

    def predict(self, texts: Sequence[str], *, batch_size: int = 0) -> list[Generation]:
        """Continues each text, an input without any template around it, in the order given.

        Raises:
          InputError: as `rows`.
        """
        ids = [str(index) for index in range(len(texts))]
        rows = self.rows(ids, texts)
        requests = [Request(row.tokens, id=id, name=f"row {id}") for id, row in zip(ids, rows, strict=True)]
        results: dict[Request, Generation] = {}
        for batch in self.answers(requests, batch_size=batch_size):
            for request, generated in batch:
                results[request] = generated
        return [results[request] for request in requests]

    def answers(
        self, requests: Sequence[Request], *, batch_size: int = 0
    ) -> Iterator[list[tuple[Request, Generation]]]:
        """What the run writes for rows that `rows` has laid out, or which of its task's choices it answers with.

        Raises:
          InputError: a row does not fit, or the task has choices of its own for each of its examples.
        """
        if not self.settings.task.options.get("choices"):
            yield from generation.generate(self.lm, self.injected, requests, self.search, batch_size=batch_size)
            return
        task = task_of(self.settings.task)
        texts = choices_of(task, Example("", "", "", ("",), {"choices": ()}))
        if not texts:
            raise InputError(
                f"run {self._folder.run_id} answers with choices that each row of its task has for itself; other "
                "inputs have none: use config.task.options.choices='a|b', or score them with LanguageModel.score"
            )
        offered = [(text, self.template.encoded_target(text, self.lm.tokenizer)) for text in texts]
        yield from choosing.choose(
            self.lm, self.injected, requests, [offered] * len(requests), per_token=task.per_token, batch_size=batch_size
        )

    def _check_data(self, preparer: Preparer) -> None:
        """Raises InputError where the data is not what the run saw: other demonstrations would be another method."""
        task = preparer.task
        present = [split for split in splits_of(task) if is_there(task, split)]
        if data_hash(task, present) != self._data_hash:
            raise InputError(
                f"{self.settings.task.data_dir or task.name}: not the data that run {self._folder.run_id} was made "
                "with, so it would show other demonstrations; give the folder of its data with --data_dir, or --raw to "
                "leave demonstrations and template to yourself"
            )


def load_run(folder: str | os.PathLike, *, model: str = "", dtype: str = "", data_dir: str = "") -> FinishedRun:
    """Loads a run's folder to continue other inputs as the run continued its own.

    Args:
      folder: `<workdir>/runs/<run id>`.
      model: where the language model lies now; by default where the run found it.
      dtype: of its weights; by default the run's.
      data_dir: where the task's files lie now, which demonstrations come from; by default where the run found them.

    Raises:
      InputError: it is no run, or what it needs is missing or is not the run's; the message has the fix.
    """
    return FinishedRun(folder, model=model, dtype=dtype, data_dir=data_dir)


def is_run(folder: str | os.PathLike) -> bool:
    """Whether this is the folder of a run."""
    return (Path(folder) / "run.json").is_file()


def _described(folder: RunFolder) -> dict[str, Any]:
    """What run.json says, which is what the run's id is a hash of."""
    try:
        described = read_json(folder.run_json, {"task": dict, "layout": dict, "model": dict, "decoding": dict})
    except FileNotFoundError:
        raise InputError(f"{folder.path} is no run: it has no run.json; give <workdir>/runs/<run id>") from None
    described_id = run_id({key: value for key, value in described.items() if key not in BESIDE_IDENTITY})
    if described_id != folder.run_id:
        raise InputError(
            f"{folder.run_json} describes run {described_id}, not {folder.run_id}: it was changed, or the folder was "
            "renamed; restore the file, or name the folder by the id"
        )
    return described


def _trained_at(folder: RunFolder, settings: Any) -> Path:
    """Where the run's adapter lies: in its folder if it trained one, else where it took it from."""
    if settings.training:
        return folder.path
    source = settings.prompt.source
    if not source:
        raise InputError(
            f"{folder.path} has no adapter: the run used one as it was initialised, without training; give the folder "
            "of a run with training.steps > 0"
        )
    return RunFolder(folder.workdir, source.removeprefix(PREFIX)).path if source.startswith(PREFIX) else Path(source)


def _data_dir(described: dict[str, Any], folder: RunFolder) -> str:
    """Where the run found its task's files; runs of older versions tell it in the experiment's config alone."""
    if "data_dir" in described:
        return str(described["data_dir"])
    try:
        config = read_json(folder.workdir / "config.json")
    except FileNotFoundError:
        return ""
    if config.get("tasks") and config.get("data_dir"):
        return os.path.join(config["data_dir"], str(described["task"].get("name")))
    return str(config.get("task", {}).get("data_dir", ""))
