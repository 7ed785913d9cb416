"""Advice on large pages where a kernel gives them to those that ask, and memory that compiling leaves."""

import jax
import pytest

from ipt_jax.runtime import host_memory
from ipt_jax.runtime.host_memory import advice

ASKING = "always [madvise] never\n"


@pytest.mark.parametrize(
    ("policy", "environment", "given"),
    [
        (ASKING, {}, True),
        (ASKING, {"GLIBC_TUNABLES": "glibc.malloc.check=1"}, True),
        (ASKING, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, False),
        ("[always] madvise never\n", {}, False),
        ("always madvise [never]\n", {}, False),
        (None, {}, False),  # no Linux
    ],
)
def test_large_pages_are_advised_where_asking_for_them_changes_something(tmp_path, policy, environment, given):
    file = tmp_path / "enabled"
    if policy is not None:
        file.write_text(policy)
    said = advice(environment, file)
    assert bool(said) == given and ("GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in said) == given


@pytest.mark.parametrize(("seconds", "given_back"), [(0.1, 0), (2.0, 1)])
def test_what_a_long_compilation_frees_goes_back_to_the_system(monkeypatch, seconds, given_back):
    listeners, calls = [], []
    monkeypatch.setattr(host_memory, "_malloc_trim", lambda: calls.append)
    monkeypatch.setattr(jax.monitoring, "register_event_duration_secs_listener", listeners.append)
    host_memory.return_what_compiling_frees.__wrapped__()
    (listen,) = listeners
    listen("/jax/core/compile/jaxpr_trace_duration", 9.0)
    listen("/jax/core/compile/backend_compile_duration", seconds, fun_name="step")
    assert len(calls) == given_back


def test_a_c_library_without_the_call_changes_nothing(monkeypatch):
    listeners = []
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(jax.monitoring, "register_event_duration_secs_listener", listeners.append)
    host_memory.return_what_compiling_frees.__wrapped__()
    assert not listeners


def test_jax_still_says_when_it_has_compiled():
    heard = []
    listen = lambda event, seconds, **_: heard.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x * 3 + 1).lower(jax.ShapeDtypeStruct((17,), "float32")).compile()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert host_memory._COMPILED in heard
