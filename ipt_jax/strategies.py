"""A `Search` → the strategy that carries it out: greedy search, sampling or beams."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ipt_jax.beam_search import BeamSearch
from ipt_jax.decoding import Decoded, Model, Strategy, prefill, run
from ipt_jax.greedy import Greedy
from ipt_jax.logits_processors import Processors
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.prefix import Prefix
from ipt_jax.sampling import Sampling, row_keys
from ipt_jax.search import Search


def keys_of(search: Search, ids: Sequence[str | int]) -> np.ndarray | None:
    """u32[N, R, 2]: what rows of these ids draw with under this search; None where nothing is drawn."""
    return row_keys(search.seed, ids, search.num_return_sequences) if search.do_sample else None


def strategy_of(search: Search, end_tokens: int) -> Strategy:
    """What carries out `search` where there are so many end tokens; stop texts and seed are not its matter."""
    processors = Processors(search.repetition_penalty, search.no_repeat_ngram_size, search.min_new_tokens)
    if search.num_beams == 1:
        sampling = Sampling(search.temperature, search.top_k, search.top_p) if search.do_sample else None
        return Greedy(search.max_new_tokens, processors, sampling)
    return BeamSearch(
        search.max_new_tokens,
        search.num_beams,
        length_penalty=search.length_penalty,
        early_stopping=search.early_stopping,
        end_tokens=end_tokens,
        num_return_sequences=search.num_return_sequences,
        processors=processors,
    )


def decode(
    decoder: FrozenDecoder,
    params: Any,
    prompts: jax.Array | Prefix,
    prompt_index: jax.Array,
    tokens: jax.Array,
    lengths: jax.Array,
    stops: jax.Array,
    keys: jax.Array | None,
    search: Search,
    *,
    end_tokens: int,
) -> Decoded:
    """Continues one batch of rows from its first token to its last; a list of work is for `generation.generate`.

    Args:
      prompts, prompt_index, tokens, lengths: as in `decoding.prefill`.
      stops: as in `decoding.Model`.
      keys: of these rows, from `keys_of`.
      end_tokens: how many end tokens there are.

    Returns:
      B · num_return_sequences rows, those of one row beside one another.
    """
    arrays = (prompts, prompt_index, tokens, lengths, stops, keys)
    return _decode(decoder, strategy_of(search, end_tokens), params, *arrays)


@functools.partial(jax.jit, static_argnames=("decoder", "strategy"))
def _decode(decoder, strategy, params, prompts, prompt_index, tokens, lengths, stops, keys) -> Decoded:
    model = Model(decoder, params, decoder.unstack(params), stops)
    rows, last_hidden = prefill(decoder, params, prompts, prompt_index, tokens, lengths, keys)
    carried = strategy.begin(model, rows, last_hidden)
    return strategy.result(run(strategy, model, rows, carried, np.int32(0), 0)[1])
