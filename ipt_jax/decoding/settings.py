"""How a continuation is searched for: every setting of decoding, checked, without an array in sight."""

from __future__ import annotations

import dataclasses
from typing import Any

from ipt_jax.errors import InputError
from ipt_jax.setting import Condition, is_whole, leaves, problem, setting

SAMPLED = Condition("with decoding.do_sample", lambda run: run["decoding"]["do_sample"])
BEAMS = Condition("with decoding.num_beams > 1", lambda run: run["decoding"]["num_beams"] > 1)
STOPPED = Condition("where decoding.stop has a text", lambda run: bool(run["decoding"]["stop"]))


@dataclasses.dataclass(frozen=True)
class Search:
    """How a continuation is searched for; names and meanings are those of Hugging Face's `generate`.

    Attributes:
      eos_token_id: given as a token, several or none; a tuple, or None for the tokenizer's.
    """

    max_new_tokens: int = setting(64, "most tokens to write", least=1)
    stop: tuple[str, ...] = setting(("\n",), "texts that end a row, besides the end tokens")
    hold_stop_texts: bool = setting(
        True,
        "stop texts count from a row's first character that is no white space, and from the token behind the first "
        "min_new_tokens; False: from the start, as in Hugging Face's: a row that begins with a stop text is then empty",
        matters=STOPPED,
        neutral=False,
        before=False,
    )
    num_beams: int = setting(1, "1 is greedy search, or sampling", least=1)
    length_penalty: float = setting(
        1.0, "of beam search: the exponent of the length that scores are divided by", matters=BEAMS
    )
    early_stopping: bool | str = setting(
        False,
        "of beam search, when a row has enough: False | True | never",
        choices=(False, True, "never"),
        matters=BEAMS,
    )
    min_new_tokens: int = setting(
        0, "no end token before so many are written, nor a stop text if hold_stop_texts", least=0, before=0
    )
    eos_token_id: tuple[int, ...] | None = setting((), "tokens that end a row; none: the tokenizer's", before=())
    no_repeat_ngram_size: int = setting(
        0, "no n-gram of so many tokens, input counted, is written again; 0 allows all", least=0, before=0
    )
    repetition_penalty: float = setting(
        1.0,
        "what the score of a token that the row holds already, as input or written, is divided by if positive and "
        "multiplied by if negative; 1.0 changes nothing",
        above=0,
        before=1.0,
    )
    do_sample: bool = setting(
        False, "draw each token instead of taking the most probable one; needs num_beams=1", before=False
    )
    temperature: float = setting(
        1.0, "of sampling, before the next two: scores are divided by it", above=0, matters=SAMPLED, before=1.0
    )
    top_k: int = setting(
        50, "of sampling: the most probable tokens that are kept; 0: all", least=0, matters=SAMPLED, before=50
    )
    top_p: float = setting(
        1.0,
        "of sampling: then the fewest tokens whose probability reaches it",
        above=0,
        most=1,
        matters=SAMPLED,
        before=1.0,
    )
    seed: int = setting(
        0,
        "of sampling; what a row draws depends on it and on the row's own id, not on its batch",
        least=0,
        matters=SAMPLED,
        before=0,
    )
    num_return_sequences: int = setting(
        1, "answers per row: independent draws, or the best of at least as many beams", least=1, in_config=False
    )

    def __post_init__(self):
        for leaf in leaves(Search):
            what = problem(leaf, getattr(self, leaf.name))
            self._need(not what, leaf.name, what)
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
        self._need(all(is_whole(id) and id >= 0 for id in ids or ()), "eos_token_id", "must be token ids")
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
