"""The device mesh: rows are spread over `data`, the language model's parameters over `model`."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ipt_jax.errors import InputError


def make_mesh(model_devices: int = 1) -> Mesh:
    """All devices, `model_devices` of them to each copy of the model's parameters.

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


def put_rows(mesh: Mesh, arrays: Any, axis: int) -> Any:
    """Puts host arrays on the mesh with their axis `axis` spread over `data`."""
    return jax.device_put(arrays, NamedSharding(mesh, PartitionSpec(*[None] * axis, "data")))


def put_members(mesh: Mesh, state: Any, spread: bool) -> Any:
    """Puts arrays [K, …] on the mesh: whole on every device, or `spread` member by member over `data`."""

    def place(leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, PartitionSpec("data") if spread and np.ndim(leaf) else PartitionSpec())

    return jax.device_put(state, jax.tree.map(place, state))


def check_divisible(mesh: Mesh, rows: int, leaf: str) -> None:
    """Raises InputError unless the devices share the rows evenly."""
    devices = mesh.shape["data"]
    if rows % devices:
        near = int(np.ceil(rows / devices)) * devices
        raise InputError(f"{leaf}={rows} cannot be spread evenly over {devices} groups of devices; set it to {near}")
