"""A list of work → generated rows, each as soon as it is finished: what rows share, and how many go at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from ipt_jax.decoding import strategy
from ipt_jax.decoding.schedule import plan, rows_that_fit
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.shared_beginnings import share_prefix
from ipt_jax.decoding.slots import Slots
from ipt_jax.decoding.stopping import stop_table
from ipt_jax.decoding.strategies import keys_of, strategy_of
from ipt_jax.decoding.strategy import Generation
from ipt_jax.errors import InputError
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.runtime import mesh, processes
from ipt_jax.runtime.device_memory import bytes_on_device, device_budget

_log = logging.getLogger(__name__)

# Rows to decode at once where memory would allow more. A step on two CPU cores is arithmetic from 32 rows on, and more
# of them make nothing faster; an accelerator reads its weights for 256 rows in the time of one.
MOST_ON_CPU, MOST = 32, 256
# The share of free memory that the cache of shared prefixes may take.
_PREFIXES = 0.25


def check_lengths(
    decoder: FrozenDecoder, prompt_rows: int, lengths: Sequence[int], max_new_tokens: int, names: Sequence[str]
) -> None:
    """Refuses rows that would run past the model's positions, before anything is compiled.

    Raises:
      InputError: naming the first row that does not fit, and how many others do not.
    """
    limit = decoder.config.max_positions
    beyond = [i for i, length in enumerate(lengths) if prompt_rows + length + max_new_tokens > limit]
    if beyond:
        first = beyond[0]
        raise InputError(
            f"{names[first]}: {prompt_rows} prompt rows + {lengths[first]} tokens + max_new_tokens={max_new_tokens} "
            f"pass the model's {limit} positions (as do {len(beyond) - 1} other rows); shorten the input or lower "
            "max_new_tokens"
        )
    empty = [i for i, length in enumerate(lengths) if prompt_rows + length == 0]
    if empty:
        raise InputError(f"{names[empty[0]]}: an empty input without a soft prompt gives the model nothing to go on")


def check_finite(log_probability: float, model: str, name: str) -> None:
    """Refuses what a model made of numbers that are none, in which the first token is the most probable for ever."""
    if not math.isfinite(log_probability):
        raise InputError(
            f"{name}: the probabilities that {model} gives are not finite: it is the model, its type or the soft "
            "prompt that is at fault, no setting of the search; try --dtype=float32 or other weights"
        )


def generate(
    decoder: FrozenDecoder,
    params: Any,
    tokenizer: Any,
    prompts: jax.Array,
    work: Sequence[tuple[int, Sequence[int]]],
    search: Search,
    *,
    batch_size: int = 0,
    names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    devices: Mesh | None = None,
    model: str = "the language model",
) -> Iterator[list[tuple[int, Generation]]]:
    """Continues rows of token ids; rows of many prompts are decoded together.

    Args:
      prompts: f32[K, P, E].
      tokenizer: for the ends, the stop texts and the text of what is generated.
      work: (index of the prompt, token ids) of each row; they begin with the tokenizer's BOS where it has one.
      search: how to continue them.
      batch_size: at most so many rows decoded together (with beams, so many rows of `num_beams` beams); 0: as many
        as fit the device's memory and make it faster.
      names: what to call the rows in an error.
      ids: what a row's draws depend on besides the seed; its place in `work` by default.
      devices: spreads the rows over its `data` axis.
      model: what to call the language model in an error.

    Yields:
      Lists of pairs (index into `work`, what was generated) as rows finish, longest inputs first;
      `num_return_sequences` pairs of each row, best first where there are beams.

    Raises:
      InputError: a row does not fit the model's positions, or the model's probabilities are not finite.
    """
    if not work:
        return
    prompt_rows, config = prompts.shape[1], decoder.config
    lengths = [len(tokens) for _, tokens in work]
    names = names or [f"row {i}" for i in range(len(work))]
    check_lengths(decoder, prompt_rows, lengths, search.max_new_tokens, names)
    ends = search.eos_token_id or tokenizer.eos_ids
    stops = stop_table(tokenizer, search.stop, config.vocab_size, ends, after_white_space=search.hold_stop_texts)
    stops = mesh.put(stops, None if devices is None else mesh.replicated(devices))
    keys = keys_of(search, range(len(work)) if ids is None else ids)
    share = 1 if devices is None else devices.shape["data"]
    budget = processes.least(device_budget()) - 2 * bytes_on_device(params)  # stacked, and layer by layer
    shared, places = share_prefix(decoder, params, prompts, work, _PREFIXES * budget)
    rows = [(place, tokens) for place, (_, tokens) in zip(places, work, strict=True)]
    fitting = share * rows_that_fit(
        config,
        search,
        positions=prompt_rows + max(lengths),
        itemsize=jax.tree.leaves(params)[0].dtype.itemsize,
        budget=budget - (0 if shared is prompts else bytes_on_device(shared)),
        parts=1 if devices is None else devices.shape["model"],
    )
    most = batch_size or share * (MOST_ON_CPU if jax.default_backend() == "cpu" else MOST)
    size, halved, waiting = min(most, fitting), False, list(range(len(work)))
    while waiting:
        # Past the positions no token is real, so cutting a width there loses nothing.
        chosen = plan([lengths[i] for i in waiting], size, config.max_positions - prompt_rows, share=share)
        done: set[int] = set()
        try:
            slots = Slots(
                decoder,
                params,
                shared,
                stops,
                strategy_of(search, len(ends)),
                chosen,
                [rows[i] for i in waiting],
                None if keys is None else keys[waiting],
                devices,
            )
            for finished, decoded in slots.decode():
                # What is generated goes on after the input: a space at its start is its own.
                texts = strategy.finish(decoded, tokenizer.continuation, search)
                done.update(finished)
                answers = [(waiting[finished[i // search.num_return_sequences]], text) for i, text in enumerate(texts)]
                for index, answer in answers:
                    check_finite(answer.log_probability, model, names[index])
                yield answers
            return
        except jax.errors.JaxRuntimeError as error:
            # Other processes may have had memory enough: they cannot be told while they wait for this one.
            if "RESOURCE_EXHAUSTED" not in str(error) or halved or size <= share or processes.several():
                raise
            size, halved = max(size // 2, 1), True
            waiting = [index for i, index in enumerate(waiting) if i not in done]
            _log.warning("out of device memory; going on with %d rows at once, half as many", size)
