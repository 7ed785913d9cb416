"""The device mesh on one device; on eight it is for tests/helpers/eight_devices.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ipt_jax.errors import InputError
from ipt_jax.runtime import mesh


@pytest.fixture
def devices():
    return mesh.make_mesh()


def test_all_devices_share_the_rows_unless_they_are_asked_to_share_the_model(devices):
    assert dict(devices.shape) == {"data": jax.device_count(), "model": 1}


@pytest.mark.parametrize("model", [0, 7])
def test_devices_that_do_not_divide_are_refused_with_those_that_do(model):
    count = jax.device_count()
    with pytest.raises(InputError, match=f"model_devices={model} does not divide the {count} devices; use 1"):
        mesh.make_mesh(model)


def test_layouts_name_the_axis_that_is_spread(devices):
    assert mesh.replicated(devices).spec == PartitionSpec()
    assert mesh.over_data(devices, 1).spec == PartitionSpec(None, "data")


def test_arrays_are_put_as_one_layout_or_as_a_tree_of_them_says(devices):
    arrays = {"a": np.arange(4.0), "b": np.float32(1)}
    for layouts in (None, mesh.replicated(devices), dict.fromkeys(arrays, mesh.replicated(devices))):
        put = mesh.put(arrays, layouts)
        assert isinstance(put["a"], jax.Array)
        assert mesh.on_host(put["a"]).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_members_are_spread_by_their_first_axis_and_numbers_are_not(devices):
    state = {"rows": np.zeros((2, 3)), "step": np.int32(0)}
    spread = mesh.put_members(devices, state, spread=True)
    assert spread["rows"].sharding.spec == PartitionSpec("data")
    assert spread["step"].sharding.spec == PartitionSpec()
    assert mesh.put_members(devices, state, spread=False)["rows"].sharding.spec == PartitionSpec()


def test_rows_lie_beside_parameters_that_are_on_a_mesh_and_nowhere_else(devices):
    assert mesh.rows_beside({"w": jnp.zeros(3)}) is None
    placed = mesh.put({"w": np.zeros(3)}, mesh.replicated(devices))
    assert mesh.rows_beside(placed) == mesh.over_data(devices)


def test_rows_that_cannot_be_shared_evenly_are_refused_with_the_next_number_that_can():
    eight = type("Mesh", (), {"shape": {"data": 8}})
    mesh.check_divisible(eight, 16, "config.training.batch_size")
    with pytest.raises(InputError, match=r"config\.training\.batch_size=9 cannot .* 8 groups of devices; set it to 16"):
        mesh.check_divisible(eight, 9, "config.training.batch_size")


def test_what_is_whole_already_is_not_gathered():
    array = jnp.arange(3)
    assert mesh.whole(array) is array
    assert mesh.whole(5) == 5
