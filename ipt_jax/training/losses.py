"""The loss of a population's prompts on a batch, with no more arithmetic or memory than its gradient needs."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from ipt_jax.adapters.injection import Injection
from ipt_jax.adapters.soft_prompt import prepend
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.rows.batching import Batch
from ipt_jax.training.distillation import distillation_losses
from ipt_jax.training.word_blocks import block_words, capped

# Positions that keep a CPU busy, see `members_at_once`.
CPU_POSITIONS = 512


def member_losses(
    decoder: FrozenDecoder,
    lm_params: Any,
    adapters: Injection | jax.Array,
    batch: Batch,
    rematerialisation: str = "dots",
    axis: str = "members",
) -> tuple[jax.Array, jax.Array]:
    """Summed loss and number of target tokens, each f32[K].

    The loss of a token is its negative log-likelihood; where the batch has a teacher, the divergence of the model's
    next-token probabilities from those that it has, frozen and without any adapter, behind the teacher's row.

    The states of a prompt, and of the first tokens that all rows of its member share, depend on nothing that comes
    after: they run once, and all rows of the member attend to their keys and values. Members' rows run as one larger
    batch; only the target rows pass the last layer and the output projection.

    Args:
      adapters: what K adapters inject; an array f32[K, P, E] is prompt rows alone.
      batch: arrays with leading axes [K, B].
      rematerialisation: see `models.rematerialisation`.
      axis: what several devices share out, `members` or `rows`. It stands first where the two become one axis: a
        compiler that finds it second gathers all rows on every device, and each computes everything.
    """
    members, rows = batch.tokens.shape[:2]
    rows_first = axis == "rows"

    def merged(array: jax.Array) -> jax.Array:
        array = array.swapaxes(0, 1) if rows_first else array
        return array.reshape(members * rows, *array.shape[2:])

    def apart(array: jax.Array) -> jax.Array:
        if rows_first:
            return array.reshape(rows, members, -1).swapaxes(0, 1)
        return array.reshape(members, rows, -1)

    # Devices that share out the rows run each prompt themselves, as copies of their own: the gradients to keys and
    # values would otherwise be summed over the devices in every layer, and not once, to the prompt.
    groups = (math.gcd(rows, _data_devices(batch.tokens)), members) if rows_first else (members, 1)

    def spread(array: jax.Array) -> jax.Array:
        copies = jnp.broadcast_to(array, (groups[0], *array.shape)) if rows_first else array
        return copies.reshape(*groups, *array.shape[1:])

    adapters, frozen = Injection.of(adapters), lm_params
    embeddings = decoder.embed(lm_params, merged(batch.tokens))
    lm_params = adapters.changed(lm_params, spread)
    before = adapters.known(spread, embeddings.dtype)
    if adapters.rows.shape[1] or batch.shared is not None:
        own = spread(adapters.rows).reshape(math.prod(groups), *adapters.rows.shape[1:]).astype(embeddings.dtype)
        if batch.shared is not None:  # those of one row of each group: its first
            first = merged(batch.shared).reshape(groups[0], -1, groups[1], batch.shared.shape[-1])[:, 0]
            own = prepend(own, decoder.embed(lm_params, first.reshape(len(own), -1)))
        made = decoder.beginning(lm_params, own, rematerialisation, before)
        before = jax.tree.map(lambda x: x.reshape(x.shape[0], *groups, *x.shape[2:]), made)
    hidden = decoder.hidden_at(lm_params, embeddings, merged(batch.target_positions), rematerialisation, before)
    normalised, table = decoder.normalise(lm_params, hidden), decoder.output_table(lm_params)
    head = {"softcap": decoder.config.logit_softcap, "parts": decoder.parts}
    if batch.teacher is None:
        losses = apart(token_losses(normalised, table, merged(batch.targets), **head))
        return (losses * batch.weights).sum(axis=(1, 2)), batch.weights.sum(axis=(1, 2))
    places = merged(batch.teacher.target_positions)
    both = min(places.shape[1], normalised.shape[1])  # each has room for all real targets
    seen = decoder.embed(frozen, merged(batch.teacher.tokens))
    taught = decoder.normalise(frozen, decoder.hidden_at(frozen, seen, places[:, :both], "none"))
    losses = apart(distillation_losses(normalised[:, :both], taught, table, **head))
    weights = batch.weights[..., :both]
    return (losses * weights).sum(axis=(1, 2)), weights.sum(axis=(1, 2))


def _data_devices(rows: jax.Array) -> int:
    """Devices that rows are spread over."""
    mesh = jax.typeof(rows).sharding.mesh
    return 1 if mesh.empty else mesh.shape["data"]


def members_at_once(members: int, positions: int) -> int:
    """How many of K members' rows to run as one larger batch; a divisor of K.

    An accelerator wants all of them. A CPU is busy with a few hundred positions, and only loses its caches and memory
    by more: a step of 5 members of GPT-2 124M, 2,448 positions each, took 45 s of processor time at once and 31 s one
    by one; five LoRAs of SmolLM2 135M on MTOP, some 400 positions each, 12.6 s and 2.4 GB at once, 11.7 s and 1.7 GB
    one by one.

    Args:
      positions: of one member's rows and of its prompt.
    """
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return members
    return max((n for n in range(1, members + 1) if members % n == 0 and n * positions <= CPU_POSITIONS), default=1)


def token_losses(
    normalised: jax.Array,
    table: jax.Array,
    targets: jax.Array,
    softcap: float | None = None,
    block: int | None = None,
    parts: int = 1,
) -> jax.Array:
    """Negative log-likelihoods f32[B, R] of target tokens, without ever holding the logits of all words.

    The table is gone through once, block by block, with a running maximum and sum (as in the online softmax of
    arXiv 1805.02867). The gradient to a hidden state is loss-gradient × (mean row of the table under the softmax
    - the target's row), and that mean is summed up in the same pass: both products with a block are made while it is
    at hand, and the logits are never made again.

    Args:
      normalised: [B, R, E], as `FrozenDecoder.normalise` gives them.
      table: [V, E]; frozen, it gets no gradient.
      targets: i32[B, R].
      softcap: c of c · tanh(logit / c), or None.
      block: words of a block; `block_words` unless given.
      parts: devices that the words are spread over. Each goes through its own words, and only sums of these meet: a
        block out of all words would have to be gathered from the devices first.
    """
    parts = parts if table.shape[0] % parts == 0 else 1
    words = table.shape[0] // parts
    block = min(block or block_words(targets.size, words), words)
    with jax.default_matmul_precision("highest"):
        return _losses(normalised, jax.lax.stop_gradient(table), targets, softcap, block, parts)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _losses(normalised, table, targets, softcap, block, parts):
    return _forward(normalised, table, targets, softcap, block, parts, with_gradient=False)[0]


def _forward(normalised, table, targets, softcap, block, parts, with_gradient=True):
    """The losses, and their gradient with respect to each hidden state [B, R, E]."""
    rows = normalised.reshape(-1, normalised.shape[-1])  # two axes, so that no product has to turn its block of words
    words = functools.partial(_words, rows, softcap=softcap, block=block, with_gradient=with_gradient)
    if parts == 1:
        highest, total, mean = words(table)
    else:
        largest, totals, means = jax.vmap(words)(table.reshape(parts, -1, table.shape[1]))
        highest = largest.max(axis=0)
        shrink = jnp.exp(largest - highest[None])
        total, mean = (totals * shrink).sum(axis=0), (means * shrink[..., None]).sum(axis=0)
    wanted = table[targets.reshape(-1)].astype(jnp.float32)
    logits, slope = capped((rows.astype(jnp.float32) * wanted).sum(axis=-1), softcap)
    # The two large numbers first: their difference is small.
    losses = (jnp.log(total) + (highest - logits)).reshape(targets.shape)
    if not with_gradient:
        return losses, None
    wanted = wanted if slope is None else wanted * slope[..., None]
    return losses, (mean / total[..., None] - wanted).astype(normalised.dtype).reshape(normalised.shape)


def _words(rows, table, softcap, block, with_gradient):
    """Of the softmax of [N, E] rows over [V, E] words: largest logit [N], sum [N], and mean row of the table [N, E].

    Sum and mean are of exp(logit - largest logit); the mean is not yet divided by the sum.
    """

    def add_block(sums, index):
        largest, total, mean = sums
        # The last block starts early enough to be whole; the words that it shares with the one before count once.
        start = jnp.minimum(index * block, len(table) - block)
        words = jax.lax.dynamic_slice_in_dim(table, start, block)
        logits, slope = capped(jnp.einsum("ne,ve->nv", rows, words, preferred_element_type=jnp.float32), softcap)
        logits = jnp.where(start + jnp.arange(block) >= index * block, logits, -jnp.inf)
        higher = jnp.maximum(largest, logits.max(axis=-1))
        shrink = jnp.exp(largest - higher)
        weights = jnp.exp(logits - higher[:, None])
        total = total * shrink + weights.sum(axis=-1)
        if with_gradient:
            weights = (weights if slope is None else weights * slope).astype(words.dtype)
            mean = mean * shrink[:, None] + jnp.einsum("nv,ve->ne", weights, words, preferred_element_type=jnp.float32)
        return (higher, total, mean), None

    zeros = jnp.zeros(len(rows), jnp.float32)
    mean = jnp.zeros((len(rows), table.shape[1] if with_gradient else 0), jnp.float32)
    return jax.lax.scan(add_block, (zeros - jnp.inf, zeros, mean), jnp.arange(-(-len(table) // block)))[0]


def _backward(softcap, block, parts, gradients, upstream):
    del softcap, block, parts
    return gradients * upstream[..., None].astype(gradients.dtype), None, None


_losses.defvjp(_forward, _backward)
