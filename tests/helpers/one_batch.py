"""One batch decoded from its first token to its last: strategies without the slots that `generation` puts rows into."""

import functools
from typing import Any

import jax
import numpy as np

from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.shared_beginnings import Prefix
from ipt_jax.decoding.strategies import strategy_of
from ipt_jax.decoding.strategy import Decoded, Entering, Model, prefill, run
from ipt_jax.models.decoder import FrozenDecoder


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
    """Continues a batch of rows.

    Args:
      prompts: beginnings, as in `strategy.prefill`; prompt_index, tokens, lengths: as in `strategy.Entering`.
      stops: as in `strategy.Model`.
      keys: of these rows, from `strategies.keys_of`.
      end_tokens: how many end tokens there are.

    Returns:
      B · num_return_sequences rows, those of one row beside one another.
    """
    arrays = (prompts, prompt_index, tokens, lengths, stops, keys)
    return _decode(decoder, strategy_of(search, end_tokens), params, *arrays)


@functools.partial(jax.jit, static_argnames=("decoder", "strategy"))
def _decode(decoder, strategy, params, prompts, prompt_index, tokens, lengths, stops, keys) -> Decoded:
    model = Model(decoder, params, decoder.unstack(params), stops)
    entering = Entering(prompt_index, prompt_index, tokens, lengths, keys)
    rows, last_hidden = prefill(decoder, params, prompts, entering)
    carried = strategy.begin(model, rows, last_hidden)
    return strategy.result(run(strategy, model, rows, carried, np.int32(0), 0)[1])
