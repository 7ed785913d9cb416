"""What memory training may take."""

import types

import jax
import jax.numpy as jnp
import pytest

from ipt_jax.runtime import device_memory
from ipt_jax.runtime.device_memory import bytes_on_device, device_budget


def device(monkeypatch, stats):
    monkeypatch.setattr(jax, "local_devices", lambda: [types.SimpleNamespace(memory_stats=lambda: stats)])


def test_what_is_given_is_taken(monkeypatch):
    device(monkeypatch, {"bytes_limit": 80_000_000_000})
    assert device_budget(2.5) == 2_500_000_000


def test_an_accelerator_keeps_a_tenth_for_programs(monkeypatch):
    device(monkeypatch, {"bytes_limit": 80_000_000_000})
    assert device_budget() == 72_000_000_000


@pytest.mark.parametrize("stats", [None, {}])
def test_the_devices_of_a_cpu_share_the_machines_memory(monkeypatch, stats):
    device(monkeypatch, stats)
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    monkeypatch.setattr(device_memory, "_host_memory", lambda: 10_000)
    assert device_budget() == 4_000


@pytest.mark.parametrize(("told", "expected"), [("1000", 1000), ("max", None), (None, None)])
def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path, told, expected):
    file = tmp_path / "memory.max"
    if told is not None:
        file.write_text(told)
    monkeypatch.setattr(device_memory, "Path", lambda _: file)
    whole = device_memory.os.sysconf("SC_PAGE_SIZE") * device_memory.os.sysconf("SC_PHYS_PAGES")
    assert device_memory._host_memory() == (expected or whole)


def test_bytes_are_those_of_all_leaves():
    assert bytes_on_device({"a": jnp.zeros((2, 3), jnp.float32), "b": [jnp.zeros(5, jnp.bfloat16)]}) == 34
