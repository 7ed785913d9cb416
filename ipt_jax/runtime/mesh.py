"""The device mesh: rows are spread over `data`, the language model's parameters over `model`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

from ipt_jax.errors import InputError


class Spread(NamedTuple):
    """Devices along a mesh's axes: `data` groups share out the rows, `model` devices share one copy of the model."""

    data: int = 1
    model: int = 1


def make_mesh(model_devices: int = 1) -> Mesh:
    """All devices of all processes, `model_devices` of them to each copy of the model's parameters.

    `Auto` axes: explicit ones reject plain indexing and cache writes.

    Raises:
      InputError: the devices do not divide into copies of that many.
    """
    devices = jax.device_count()
    if model_devices < 1 or devices % model_devices:
        divisors = ", ".join(str(n) for n in range(1, devices + 1) if devices % n == 0)
        raise InputError(
            f"config.execution.model_devices={model_devices} does not divide the {devices} devices; use {divisors}"
        )
    return jax.make_mesh((devices // model_devices, model_devices), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def over_data(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """The axis `axis` spread over `data`, the others whole."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


def put(arrays: Any, shardings: Any) -> Any:
    """Puts host arrays on devices; where other processes hold a part, each process hands over its own devices' part.

    `jax.device_put` would first send such arrays around, to compare those of all processes.

    Args:
      arrays: the same on every process, at least where its own devices want them.
      shardings: one for all (None is the default device), or a tree of them.
    """
    if shardings is None or isinstance(shardings, Sharding):
        return jax.tree.map(lambda array: _place(array, shardings), arrays)
    return jax.tree.map(_place, arrays, shardings)


def _place(array: Any, sharding: Sharding | None) -> jax.Array:
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: np.asarray(array[index]))


def rows_beside(params: Any) -> NamedSharding | None:
    """How rows lie over the mesh that parameters are on; None where they are on no mesh."""
    sharding = jax.tree.leaves(params)[0].sharding
    return over_data(sharding.mesh) if isinstance(sharding, NamedSharding) else None


def put_rows(mesh: Mesh, arrays: Any, axis: int) -> Any:
    """Puts host arrays on the mesh with their axis `axis` spread over `data`."""
    return put(arrays, over_data(mesh, axis))


def held(mesh: Mesh, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """bool[shape]: which entries of arrays that `put_rows` spreads lie on this process's own devices."""
    mine = np.zeros(shape, bool)
    for index in over_data(mesh, axis).addressable_devices_indices_map(shape).values():
        mine[index] = True
    return mine


def put_members(mesh: Mesh, state: Any, spread: bool) -> Any:
    """Puts arrays [K, …] on the mesh: whole on every device, or `spread` member by member over `data`."""

    def layout(leaf: Any) -> NamedSharding:
        return over_data(mesh) if spread and np.ndim(leaf) else replicated(mesh)

    return put(state, jax.tree.map(layout, state))


def whole(array: Any) -> Any:
    """An array of which other processes hold a part, whole on every device; any other array as it is.

    Nothing waits for it: the gathering is put in the line of the devices' work. All processes must ask for it.
    """
    if not isinstance(array, jax.Array) or array.is_fully_addressable or array.is_fully_replicated:
        return array
    return _gathering(replicated(array.sharding.mesh))(array)


def on_host(array: Any) -> np.ndarray:
    """All of an array, of which other processes may hold a part; then all processes must ask for it."""
    return np.asarray(whole(array))


@functools.cache
def _gathering(sharding: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda array: array, out_shardings=sharding)


def connect(mesh: Mesh) -> None:
    """Opens the connections along both axes while all processes are here; see `processes.meet`."""
    for axis, size in mesh.shape.items():
        on_host(put(np.zeros(size, np.float32), NamedSharding(mesh, PartitionSpec(axis))))


def check_divisible(mesh: Mesh, rows: int, leaf: str) -> None:
    """Raises InputError unless the devices share the rows evenly."""
    devices = mesh.shape["data"]
    if rows % devices:
        near = int(np.ceil(rows / devices)) * devices
        raise InputError(f"{leaf}={rows} cannot be spread evenly over {devices} groups of devices; set it to {near}")
