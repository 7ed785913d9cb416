"""How a continuation is searched for: every setting of decoding, checked, without an array in sight."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

from ipt_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Search:
    """How a continuation is searched for; names and meanings are those of Hugging Face's `generate`.

    Attributes:
      max_new_tokens: most tokens to write.
      stop: texts that end a row, besides the end tokens.
      hold_stop_texts: a stop text does not end a row before it has begun: they count from its first character that is
        no white space, and from the token behind the first `min_new_tokens`. False: from the start, as in Hugging
        Face's; a row that begins with a stop text is then empty.
      num_beams: 1 is greedy search, or sampling.
      length_penalty, early_stopping: of beam search, see `beam_search`.
      min_new_tokens: no end token before so many are written, nor a stop text if `hold_stop_texts`.
      eos_token_id: tokens that end a row, one or several; None or () are the tokenizer's.
      no_repeat_ngram_size: n: no n-gram of the row, input tokens counted, is written again; 0 allows all.
      repetition_penalty: what the score of a token that the row holds already, as input or written, is divided by
        if positive and multiplied by if negative; 1.0 changes nothing.
      do_sample: draw each token instead of taking the most probable one; needs num_beams=1.
      temperature, top_k, top_p: of sampling, applied in this order: scores are divided by the temperature, then
        the top_k most probable tokens are kept (0: all), then the fewest whose probability reaches top_p.
      seed: of sampling. What a row draws depends on the seed and the row's own id, not on its batch.
      num_return_sequences: answers per row: independent draws, or the best of at least as many beams.
    """

    max_new_tokens: int = 64
    stop: tuple[str, ...] = ("\n",)
    hold_stop_texts: bool = True
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    min_new_tokens: int = 0
    eos_token_id: tuple[int, ...] | None = None
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    seed: int = 0
    num_return_sequences: int = 1

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if kind is int:
                self._need(_is_whole(value), field.name, "must be a whole number")
            if kind is float:
                fits = _is_whole(value) or (isinstance(value, numbers.Real) and math.isfinite(value))
                self._need(fits and not isinstance(value, bool), field.name, "must be a finite number")
        self._need(isinstance(self.do_sample, bool), "do_sample", "must be True or False")
        for name in ("max_new_tokens", "num_beams", "num_return_sequences"):
            self._need(getattr(self, name) >= 1, name, "must be at least 1")
        for name in ("min_new_tokens", "no_repeat_ngram_size", "top_k", "seed"):
            self._need(getattr(self, name) >= 0, name, "must be at least 0")
        for name in ("repetition_penalty", "temperature"):
            self._need(getattr(self, name) > 0, name, "must be positive")
        self._need(0 < self.top_p <= 1, "top_p", "must be above 0 and at most 1")
        self._need(self.early_stopping in (True, False, "never"), "early_stopping", "must be True, False or 'never'")
        texts = isinstance(self.stop, tuple | list) and all(isinstance(text, str) and text for text in self.stop)
        self._need(texts, "stop", "must be a tuple of texts, none of them empty")
        object.__setattr__(self, "stop", tuple(self.stop))
        self._need(
            self.min_new_tokens <= self.max_new_tokens, "min_new_tokens", f"passes max_new_tokens={self.max_new_tokens}"
        )
        self._need(not (self.do_sample and self.num_beams > 1), "num_beams", "must be 1 where do_sample is True")
        if not self.do_sample:
            self._need(
                self.num_return_sequences <= self.num_beams,
                "num_return_sequences",
                f"passes num_beams={self.num_beams}; greedy search has one answer, do_sample=True as many as wanted",
            )
        ids = _ids(self.eos_token_id)
        self._need(all(_is_whole(id) and id >= 0 for id in ids or ()), "eos_token_id", "must be token ids")
        object.__setattr__(self, "eos_token_id", ids)

    @property
    def held_tokens(self) -> int:
        """Tokens before which no stop text ends a row."""
        return self.min_new_tokens if self.hold_stop_texts else 0

    def _need(self, ok: bool, name: str, what: str) -> None:
        if not ok:
            raise InputError(f"{name}={getattr(self, name)!r} {what}")


def _ids(given: Any) -> tuple[int, ...] | None:
    """One id, several or none → a tuple, or None."""
    if given is None:
        return None
    return (tuple(given) or None) if isinstance(given, tuple | list) else (given,)


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number, NumPy's among them; a truth value is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
