"""The rows that a soft prompt starts from: vocabulary, noise, a text, label words, a demonstration or a file."""

from __future__ import annotations

import collections
import functools
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ipt_jax import seeds
from ipt_jax.adapters.files import check_prompt, load_prompt
from ipt_jax.errors import InputError
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.runtime import mesh, named_parts, processes

INITIALISATIONS = (
    "sampled_vocabulary",
    "random_normal",
    "random_uniform",
    "text",
    "label_words",
    "demonstration",
    "demonstrations",
    "file",
)
# Those that are drawn and mean no text.
NOISE = ("random_normal", "random_uniform")


def reads_examples(initialisation: str, text: str) -> bool:
    """Whether the start of a prompt depends on the training split."""
    if initialisation not in INITIALISATIONS:  # one's own may
        return True
    return initialisation in ("demonstration", "demonstrations") or (initialisation == "label_words" and not text)


def initial_rows(lm: FrozenLM, settings: Any, examples: Callable[[], Sequence[Mapping[str, str]]]) -> np.ndarray:
    """f32[P, E], the rows that a run's prompt starts from (P may be 0).

    Args:
      settings: of the run: `layout.prompt_tokens`, `layout.template`, `prompt` (None without prompt rows), `seed`.
      examples: gives the training examples, with `input` and `target`; called only where they are needed.

    Raises:
      InputError: an unknown initialisation, a prompt on disk of another shape, or nothing to start from.
    """
    rows, width, seed = settings.layout.prompt_tokens, lm.decoder.config.embed_dim, settings.seed
    prompt = settings.prompt
    if prompt is None:
        return np.zeros((0, width), np.float32)
    if prompt.initialisation == "file":
        return loaded_rows(lm, prompt.source, rows)
    if prompt.initialisation in NOISE:
        spread = float(_embedded(lm, lm.tokenizer.ordinary_ids()).std())
        return noise(prompt.initialisation, seeds.rng(seed, "prompt"), spread, (rows, width))
    if prompt.initialisation == "sampled_vocabulary":
        return _embedded(lm, sampled_vocabulary_ids(lm.tokenizer.ordinary_ids(), rows, seed))
    if prompt.initialisation == "text":
        return _embedded(lm, repeated(lm.tokenizer.encode(prompt.text), rows, "prompt.text"))
    if prompt.initialisation == "label_words":
        words = prompt.text.split() or most_common_words((e["target"] for e in examples()), rows)
        means = [_embedded(lm, lm.tokenizer.continuation.encode(f" {word}")).mean(axis=0) for word in words]
        return np.stack(repeated(means, rows, "the words of the targets"))
    if prompt.initialisation == "demonstration":
        table = examples()
        text = _shown(table[int(seeds.rng(seed, "prompt").integers(len(table)))], settings.layout.template)
        return _embedded(lm, repeated(lm.tokenizer.encode(text), rows, "a training example"))
    if prompt.initialisation == "demonstrations":
        table, template, ids = examples(), settings.layout.template, []
        for index in seeds.rng(seed, "prompt").permutation(len(table)):
            ids += lm.tokenizer.encode(_shown(table[int(index)], template) + template.separator)
            if len(ids) >= rows:
                break
        return _embedded(lm, repeated(ids, rows, "the training examples"))
    made = np.asarray(check_initialisation(prompt.initialisation)(lm, settings, examples), np.float32)
    if made.shape != (rows, width) or not np.isfinite(made).all():
        raise InputError(
            f"config.prompt.initialisation={prompt.initialisation!r} gave {list(made.shape)}, or numbers that are not "
            f"finite; a prompt of layout.prompt_tokens={rows} before {lm.name} is f32[{rows}, {width}]"
        )
    return made


def check_positions(settings: Any, config: DecoderConfig) -> None:
    """Raises InputError where the positions of a prompt or a prefix leave none of the model's for a token."""
    if settings.layout.prompt_tokens >= config.max_positions:
        raise InputError(
            f"config.layout.prompt_tokens={settings.layout.prompt_tokens} leaves none of the model's "
            f"{config.max_positions} positions to the input"
        )


def check_initialisation(name: str, place: str = "config.prompt.initialisation") -> Callable[..., np.ndarray] | None:
    """One's own initialiser: (lm, settings, examples), as `initial_rows`, → f32[P, E]. None for those of the package.

    Raises:
      InputError: there is none of that name; `place` begins the message.
    """
    return named_parts.named(name, dict.fromkeys(INITIALISATIONS), named_parts.INITIALISERS, place)


def initialisation_code(name: str) -> str:
    """What a run's identity has of an initialiser that is not of the package."""
    return named_parts.code_hash(name, dict.fromkeys(INITIALISATIONS), named_parts.INITIALISERS)


def _shown(example: Mapping[str, str], template: Any) -> str:
    """A training example as a demonstration shows it."""
    return template.query.format(input=example["input"]) + template.target.format(output=example["target"])


def sampled_vocabulary_ids(ordinary_ids: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Token ids to start a prompt from: drawn without replacement among the ordinary (not special) ones.

    Source: "sampled vocabulary" of Lester et al., arXiv 2104.08691, section 2.
    """
    return seeds.rng(seed, "prompt").choice(ordinary_ids, size=rows, replace=rows > len(ordinary_ids))


def noise(kind: str, draw: np.random.Generator, spread: float, shape: tuple[int, ...]) -> np.ndarray:
    """f32[shape] of `random_normal` or `random_uniform` noise around 0 whose standard deviation is `spread`."""
    if kind == "random_normal":
        return draw.normal(0.0, spread, shape).astype(np.float32)
    edge = spread * 3**0.5  # a uniform variable on ±a has the standard deviation a / √3
    return draw.uniform(-edge, edge, shape).astype(np.float32)


def most_common_words(texts: Iterable[str], count: int) -> list[str]:
    """The `count` most frequent words, punctuation around them left out; of equals the one that came first.

    >>> most_common_words(["yes, maybe.", "no", "yes"], 2)
    ['yes', 'maybe']
    """
    words = (word.strip(string.punctuation) for text in texts for word in text.split())
    return [word for word, _ in collections.Counter(filter(None, words)).most_common(count)]


def repeated(items: Sequence[Any], rows: int, what: str) -> list[Any]:
    """As many items as rows: the sequence from its start, again and again, cut at the end.

    >>> repeated([1, 2, 3], 5, "a text")
    [1, 2, 3, 1, 2]
    """
    if not len(items):
        raise InputError(f"{what} is empty; a prompt cannot start from it")
    return [items[i % len(items)] for i in range(rows)]


def _embedded(lm: FrozenLM, ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """f32[len(ids), E]."""
    return mesh.on_host(_embed(lm.decoder, lm.params, np.asarray(ids, np.int32))).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def _embed(decoder: FrozenDecoder, params: Any, ids: np.ndarray) -> jax.Array:
    """[len(ids), E] in the model's type; compiled, because the parameters may lie on several processes."""
    return decoder.embed(params, ids)


def loaded_rows(lm: FrozenLM, source: str | Path, rows: int) -> np.ndarray:
    """f32[P, E] from a file or folder. Raises InputError where it is not a prompt of so many rows for this model."""
    width = lm.decoder.config.embed_dim

    def read() -> np.ndarray:
        prompt = load_prompt(source)
        return check_prompt(prompt, lm) if prompt.shape[1] == width else np.asarray(prompt)

    loaded = processes.arrays_from_first(read)
    if loaded.shape != (rows, width):
        raise InputError(
            f"config.prompt.source={str(source)!r} is {list(loaded.shape)}, the run wants [{rows}, {width}] "
            f"(layout.prompt_tokens × the width of {lm.name})"
        )
    return loaded
