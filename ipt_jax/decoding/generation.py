"""Requests → answers, each as soon as it is finished: what rows share, and how many go at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ipt_jax.adapters.injection import Injection
from ipt_jax.decoding import strategy
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.schedule import plan, rows_that_fit
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.shared_beginnings import share_prefix
from ipt_jax.decoding.slots import Frozen, Slots, Static, Waiting
from ipt_jax.decoding.stopping import stop_table
from ipt_jax.decoding.strategies import keys_of, strategy_of
from ipt_jax.decoding.strategy import Generation
from ipt_jax.errors import InputError
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.runtime import mesh, processes
from ipt_jax.runtime.device_memory import bytes_on_device, device_budget

_log = logging.getLogger(__name__)

# Rows to decode at once where memory would allow more. A step on two CPU cores is arithmetic from 32 rows on, and more
# of them make nothing faster; an accelerator reads its weights for 256 rows in the time of one.
MOST_ON_CPU, MOST = 32, 256
# The share of free memory that the cache of shared prefixes may take.
_PREFIXES = 0.25


def check_lengths(decoder: FrozenDecoder, prompt_rows: int, requests: Sequence[Request], max_new_tokens: int) -> None:
    """Refuses rows that would run past the model's positions, before anything is compiled.

    Raises:
      InputError: naming the first row that does not fit, and how many others do not.
    """
    limit = decoder.config.max_positions
    beyond = [each for each in requests if prompt_rows + len(each.tokens) + max_new_tokens > limit]
    if beyond:
        raise InputError(
            f"{beyond[0].name}: {prompt_rows} prompt rows + {len(beyond[0].tokens)} tokens + "
            f"max_new_tokens={max_new_tokens} pass the model's {limit} positions (as do {len(beyond) - 1} other rows); "
            "shorten the input or lower max_new_tokens"
        )
    for each in requests:
        if prompt_rows + len(each.tokens) == 0:
            raise InputError(f"{each.name}: an empty input without a soft prompt gives the model nothing to go on")


def check_finite(log_probability: float, model: str, name: str) -> None:
    """Refuses what a model made of numbers that are none, in which the first token is the most probable for ever."""
    if not math.isfinite(log_probability):
        raise InputError(
            f"{name}: the probabilities that {model} gives are not finite: it is the model, its type or the soft "
            "prompt that is at fault, no setting of the search; try --dtype=float32 or other weights"
        )


def generate(
    lm: FrozenLM,
    adapters: Injection | jax.Array,
    requests: Sequence[Request],
    search: Search,
    *,
    batch_size: int = 0,
    devices: Mesh | None = None,
) -> Iterator[list[tuple[Request, Generation]]]:
    """Continues rows of token ids; rows of many adapters are decoded together.

    Args:
      adapters: what K adapters inject, or prompt rows f32[K, P, E]; a request's `adapter` says which is its own.
      search: how to continue them.
      batch_size: at most so many rows decoded together (with beams, so many rows of `num_beams` beams); 0: as many
        as fit the device's memory and make it faster.
      devices: spreads the rows over its `data` axis.

    Yields:
      Lists of pairs (request, what was generated) as rows finish, longest inputs first; `num_return_sequences` pairs
      of each request, best first where there are beams.

    Raises:
      InputError: a row does not fit the model's positions, or the model's probabilities are not finite.
    """
    if not requests:
        return
    adapters = jax.tree.map(jnp.asarray, Injection.of(adapters))
    decoder, params, prompt_rows = lm.decoder, lm.params, adapters.positions
    limit = decoder.config.max_positions
    check_lengths(decoder, prompt_rows, requests, search.max_new_tokens)
    ends = search.eos_token_id or lm.tokenizer.eos_ids
    stops = stop_table(
        lm.tokenizer, search.stop, decoder.config.vocab_size, ends, after_white_space=search.hold_stop_texts
    )
    stops = mesh.put(stops, None if devices is None else mesh.replicated(devices))
    spread = mesh.Spread() if devices is None else mesh.Spread(**devices.shape)
    budget = processes.least(device_budget()) - 2 * bytes_on_device(params)  # stacked, and layer by layer
    shared, places = share_prefix(decoder, params, adapters, requests, _PREFIXES * budget)
    fitting = spread.data * rows_that_fit(
        decoder.config,
        search,
        positions=prompt_rows + max(len(each.tokens) for each in requests),
        itemsize=jax.tree.leaves(params)[0].dtype.itemsize,
        budget=budget - (0 if shared is adapters.rows else bytes_on_device(shared)) - bytes_on_device(adapters.changes),
        parts=spread.model,
    )
    most = batch_size or spread.data * (MOST_ON_CPU if jax.default_backend() == "cpu" else MOST)
    static = Static(decoder, strategy_of(search, len(ends)), devices)
    keys = keys_of(search, [each.id for each in requests])
    waiting = list(map(Waiting, requests, places, [None] * len(requests) if keys is None else keys))
    size, halved = min(most, fitting), False
    while waiting:
        # Past the positions no token is real, so cutting a width there loses nothing.
        chosen = plan([len(row.request.tokens) for row in waiting], size, limit - prompt_rows, share=spread.data)
        done: set[Request] = set()
        try:
            frozen = Frozen(params, shared, stops, adapters.changes)
            for finished, decoded in Slots(static, frozen, chosen, waiting).decode():
                # What is generated goes on after the input: a space at its start is its own.
                texts = strategy.finish(decoded, lm.tokenizer.continuation, search)
                done.update(finished)
                answers = [(finished[i // search.num_return_sequences], text) for i, text in enumerate(texts)]
                for request, answer in answers:
                    check_finite(answer.log_probability, lm.name, request.name)
                yield answers
            return
        except jax.errors.JaxRuntimeError as error:
            # Other processes may have had memory enough: they cannot be told while they wait for this one.
            if "RESOURCE_EXHAUSTED" not in str(error) or halved or size <= spread.data or processes.several():
                raise
            size, halved = max(size // 2, 1), True
            waiting = [row for row in waiting if row.request not in done]
            _log.warning("out of device memory; going on with %d rows at once, half as many", size)
