"""A `Search` → the strategy that carries it out: greedy search, sampling or beams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ipt_jax.decoding.beam_search import BeamSearch
from ipt_jax.decoding.greedy import Greedy
from ipt_jax.decoding.processors import Processors
from ipt_jax.decoding.sampling import Sampling, row_keys
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.strategy import Strategy


def keys_of(search: Search, ids: Sequence[str | int]) -> np.ndarray | None:
    """u32[N, R, 2]: what rows of these ids draw with under this search; None where nothing is drawn."""
    return row_keys(search.seed, ids, search.num_return_sequences) if search.do_sample else None


def strategy_of(search: Search, end_tokens: int) -> Strategy:
    """What carries out `search` where there are so many end tokens; texts and seed are not its matter."""
    processors = Processors(search.repetition_penalty, search.no_repeat_ngram_size, search.min_new_tokens)
    if search.num_beams == 1:
        sampling = Sampling(search.temperature, search.top_k, search.top_p) if search.do_sample else None
        return Greedy(search.max_new_tokens, processors, sampling, search.held_tokens)
    return BeamSearch(
        search.max_new_tokens,
        search.num_beams,
        length_penalty=search.length_penalty,
        early_stopping=search.early_stopping,
        end_tokens=end_tokens,
        num_return_sequences=search.num_return_sequences,
        processors=processors,
        held_tokens=search.held_tokens,
    )
