"""Puts a file's tensors into the decoder's places: every place filled once, every tensor accounted for."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ipt_jax.errors import InputError
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.runtime.log import Progress

_log = logging.getLogger(__name__)

# What transformers 5 calls the head in every family, whatever it was called when the model was released.
_HEAD = "lm_head.weight"

Transform = Callable[[np.ndarray, DecoderConfig], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Weight:
    """A row of a family's weight table.

    Attributes:
      place: path in the decoder, such as `blocks.query.kernel`; everything under `blocks` is stacked by layer.
      source: name of the tensor in the file; `{layer}` runs over the layers.
      transform: from the file's array to the place's (one layer's, without the stack axis).
    """

    place: str
    source: str
    transform: Transform = lambda array, config: array


def transposed(array: np.ndarray, config: DecoderConfig) -> np.ndarray:
    """torch's Linear keeps [out, in]; ours is [in, out]."""
    return array.T


def with_repeated_heads(table: Sequence[Weight], config: DecoderConfig, times: int) -> list[Weight]:
    """The table of a decoder that has each key-value head `times` times, side by side; see `sharding.spread_heads`.

    Args:
      config: of the decoder as the file has it, which the table is for.
    """

    def changed(row: Weight) -> Weight:
        is_repeated = row.place.startswith(("blocks.key.", "blocks.value."))

        def transform(array: np.ndarray, _config: DecoderConfig) -> np.ndarray:
            own = row.transform(array, config)
            if not is_repeated:
                return own
            heads = own.reshape(*own.shape[:-1], config.num_kv_heads, config.head_dim)
            return heads.repeat(times, axis=-2).reshape(*own.shape[:-1], -1)

        return dataclasses.replace(row, transform=transform)

    return list(table) if times == 1 else [changed(row) for row in table]


def with_the_files_head(
    config: DecoderConfig, table: Sequence[Weight], source: TensorSource
) -> tuple[DecoderConfig, list[Weight]]:
    """The config and the table with the output projection that the file has, whatever its config says of it.

    As in transformers 5, a config that ties the head to the embedding is only believed where the file has the head
    not at all or bit by bit as the embedding. Where it has the head alone, that is the embedding, too.
    """
    rows, names = {row.place: row for row in table}, set(source.names())
    head, embedding = rows["head"].source, rows["embedding"].source
    if head not in names and _HEAD in names:
        head = _HEAD
    if config.tied_head and head in names:
        if embedding not in names:
            embedding = head
        elif _content(source, head) != _content(source, embedding):
            _log.info("%s: the config ties the head, but the file has one of its own, which is taken", source.label)
            config = dataclasses.replace(config, tied_head=False)
    sources = {"head": head, "embedding": embedding}
    return config, [dataclasses.replace(row, source=sources.get(row.place, row.source)) for row in table]


def _content(source: TensorSource, name: str) -> Any:
    """What tells tensors apart without two of them in memory. One of an unsupported type is equal to no other."""
    try:
        source.shape(name)
    except InputError:
        return name
    array = source.read(name)
    return array.dtype, array.shape, hashlib.sha256(np.ascontiguousarray(array).view(np.uint8)).digest()


class TensorSource(Protocol):
    """Where tensors come from: a safetensors folder, a GGUF file."""

    label: str

    def names(self) -> Iterable[str]:
        """The tensors' names, in the order in which they are best read."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the array that `read` gives; nothing is read. Raises InputError for a type it cannot read."""

    def read(self, name: str) -> np.ndarray:
        """The tensor, in an array that nobody changes afterwards."""


def places(shapes: Any) -> dict[str, Any]:
    """The leaves of a decoder's parameters or shapes by their place, such as `blocks.query.kernel`."""
    return {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(shapes)}


@dataclasses.dataclass(frozen=True)
class _Use:
    """What becomes of a tensor: the place it goes to, whole (`layer` is None) or as one layer of its stack."""

    place: str
    layer: int | None
    transform: Transform


def fill(
    decoder: FrozenDecoder,
    shapes: Any,
    table: Sequence[Weight],
    ignored: Sequence[str],
    source: TensorSource,
    shardings: Mapping[str, jax.sharding.Sharding] | None = None,
) -> Any:
    """Reads the tensors one at a time, each once, and puts them where they belong in the wanted type.

    Beside the parameters on their devices, the host holds one tensor as it is stored and its parts in the wanted
    type. Every process reads every tensor and keeps the shards of its own devices.

    Args:
      decoder, shapes: from `FrozenDecoder.abstract`; the shapes carry the wanted dtype.
      table: the family's weight table.
      ignored: regular expressions of tensors that are no parameters (attention masks, rotary tables).
      source: the file.
      shardings: place → how its array, with its stack axis, lies on the devices; the stack axis is never divided.
        None puts everything on the default device.

    Returns:
      The parameters, in the structure of `shapes`.

    Raises:
      InputError: naming together, before anything is read, all tensors that are missing, left over, or of a wrong
        shape or type, and all places that no row of the table fills or that more than one does; or naming the first
        tensor that has entries which are not finite in the wanted type.
    """
    abstract, config = places(shapes), decoder.config
    uses = _uses(table, abstract, config.num_layers)
    problems = _problems(uses, table, abstract, ignored, source, config)
    if problems:
        raise InputError(
            f"{source.label}: the weights do not fit the decoder described by its config:\n  " + "\n  ".join(problems)
        )
    filled: dict[str, jax.Array] = {}
    sizes = {name: math.prod(source.shape(name)) for name in source.names() if name in uses}
    quiet = jax.process_index() > 0  # all processes read; the first one tells
    with Progress(
        total=sum(sizes.values()), desc="loading weights", unit="weight", unit_scale=True, disable=quiet
    ) as bar:
        for name, size in sizes.items():
            _place(source, name, uses[name], filled, abstract, config, shardings)
            bar.update(size)
    flat = [(path, leaf.replace(filled[".".join(map(str, path))])) for path, leaf in nnx.to_flat_state(shapes)]
    return nnx.from_flat_state(flat)


def _uses(table: Sequence[Weight], abstract: Mapping[str, Any], num_layers: int) -> dict[str, list[_Use]]:
    """Tensor → its uses: GPT-2 keeps query, key and value in one tensor."""
    uses: dict[str, list[_Use]] = {}
    for row in table:
        if row.place in abstract:
            for layer in range(num_layers) if row.place.startswith("blocks.") else [None]:
                uses.setdefault(row.source.format(layer=layer), []).append(_Use(row.place, layer, row.transform))
    return uses


def _problems(
    uses: Mapping[str, Sequence[_Use]],
    table: Sequence[Weight],
    abstract: Mapping[str, Any],
    ignored: Sequence[str],
    source: TensorSource,
    config: DecoderConfig,
) -> list[str]:
    rows = collections.Counter(row.place for row in table)
    names = set(source.names())
    problems = [f"no row of the weight table fills {place}" for place in abstract if not rows[place]]
    problems += [f"{rows[place]} rows of the weight table fill {place}" for place in abstract if rows[place] > 1]
    for name, of_name in uses.items():
        if name in names:
            problems += _misfits(name, of_name, abstract, source, config)
        else:
            problems.append(f"tensor {name} is missing (for {', '.join(use.place for use in of_name)})")
    left_over = sorted(names - uses.keys())
    problems += [f"tensor {name} is left over" for name in left_over if not any(re.fullmatch(p, name) for p in ignored)]
    return problems


def _misfits(
    name: str, uses: Sequence[_Use], abstract: Mapping[str, Any], source: TensorSource, config: DecoderConfig
) -> list[str]:
    try:
        shape = source.shape(name)
    except InputError as error:
        return [str(error)]
    stand_in = np.broadcast_to(np.float32(0), shape)  # takes four bytes, whatever its shape
    problems = []
    for use in uses:
        wanted = abstract[use.place].shape[0 if use.layer is None else 1 :]
        try:
            fits = use.transform(stand_in, config).shape == wanted
        except ValueError:  # numpy, when a transform cannot even cut or reshape it
            fits = False
        if not fits:
            problems.append(f"tensor {name} has shape {shape}, which does not fit {use.place} of shape {wanted}")
    return problems


def _place(
    source: TensorSource,
    name: str,
    uses: Sequence[_Use],
    filled: dict[str, jax.Array],
    abstract: Mapping[str, Any],
    config: DecoderConfig,
    shardings: Mapping[str, jax.sharding.Sharding] | None,
) -> None:
    """Puts one tensor where it belongs, adding to `filled` the places that it is the first to reach."""
    array = source.read(name)
    # Cast before it is made contiguous: a third of the time for a transposed kernel.
    with np.errstate(over="ignore"):  # what is too large for the wanted type is found below
        parts = [
            np.ascontiguousarray(use.transform(array, config).astype(abstract[use.place].dtype, copy=False))
            for use in uses
        ]
    if not all(map(is_finite, parts)):
        raise InputError(
            f"{source.label}: the model is at fault: tensor {name} has entries that are not finite in "
            f"{parts[0].dtype}, so no answer would be one; download it again, or use another model"
        )
    del array  # its memory, before its parts are copied to the devices
    for use, part in zip(uses, parts, strict=True):
        sharding = None if shardings is None else shardings[use.place]
        if use.layer is None:
            filled[use.place] = _put(part, sharding)
            continue
        if use.place not in filled:
            filled[use.place] = jnp.zeros(abstract[use.place].shape, part.dtype, device=sharding)
        filled[use.place] = _write_layer(filled[use.place], _put(part[None], sharding), use.layer, sharding)
    # The devices must keep pace, or the layers that wait to be written pile up.
    jax.block_until_ready([filled[use.place] for use in uses])


def is_finite(array: np.ndarray) -> bool:
    """Whether a contiguous array of float32 or bfloat16 has no infinity and no NaN.

    These have the largest bits of either sign: two maxima of whole numbers, at a tenth of what `np.isfinite` takes
    for bfloat16, and without an array of truth values.
    """
    width = 8 * array.itemsize
    first = 0x7F80 << (width - 16)  # infinity; both types have the same exponent
    signed, unsigned = (array.view(f"{kind}{array.itemsize}") for kind in "iu")
    return array.size == 0 or bool(signed.max() < first and unsigned.max() < first + (1 << (width - 1)))


def _put(array: np.ndarray, sharding: jax.sharding.Sharding | None) -> jax.Array:
    if sharding is None:
        return jax.device_put(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


@functools.partial(jax.jit, donate_argnums=0, static_argnames="sharding")
def _write_layer(
    stack: jax.Array, layer: jax.Array, index: jax.Array, sharding: jax.sharding.Sharding | None
) -> jax.Array:
    """`stack` with `layer` ([1, …]) at `index`, written in place: the stack is donated."""
    stack = jax.lax.dynamic_update_slice_in_dim(stack, layer, index, axis=0)
    return stack if sharding is None else jax.lax.with_sharding_constraint(stack, sharding)
