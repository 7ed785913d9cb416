"""The one comparison of the numerical tests: what it refuses, what it notes, and where it is used."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import other_instruction_set
import pytest
import tolerances
from devices import simulated
from model_cases import load_case
from paths import HELPERS, TESTS
from tolerances import ELEMENTARY, GRADIENT, LOG_PROBABILITY, close, error_of, table, within
from training_batches import batch_of

from ipt_jax.training.losses import member_losses


def test_an_error_is_relative_to_the_largest_number_or_to_the_scale_that_is_given():
    expected = np.array([100.0, 1.0, -0.5])
    actual = expected + [0.0, 0.01, 0.0]
    assert error_of(actual, expected) == pytest.approx(1e-4)
    assert error_of(actual, expected, scale=expected) == pytest.approx(1e-2)
    assert error_of(actual, expected, least=1000.0) == pytest.approx(1e-5)
    assert error_of(0.001, 0.0, least=1.0) == 0.001
    assert error_of(np.zeros(3), np.zeros(3)) == error_of([], []) == 0.0


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 0.0),
        (np.nan, 1.0),
        (np.nan, np.nan),
        (np.inf, 1.0),
        (1.0, np.inf),
        (-np.inf, np.inf),
        ([1.0, 1e-9], [1.0, np.inf]),
    ],
)
def test_what_is_not_finite_or_has_no_scale_is_never_close_to_another(actual, expected):
    assert error_of(actual, expected) == np.inf
    with pytest.raises(AssertionError, match="ELEMENTARY: an error of inf"):
        close(actual, expected, ELEMENTARY)


def test_infinities_where_they_are_expected_are_no_error_and_no_scale():
    assert error_of([-np.inf, 1.0, 2.0], [-np.inf, 1.0, 2.5]) == pytest.approx(0.2)


def test_arrays_of_other_shapes_are_never_stretched_to_fit():
    with pytest.raises(AssertionError, match=r"an array \[1\] where \[3\] was expected"):
        close(np.ones(1), np.ones(3), ELEMENTARY)


def test_a_failure_says_name_error_and_limit():
    with pytest.raises(
        AssertionError, match=re.escape(f"GRADIENT: an error of 0.1, above its limit {GRADIENT.limit:.3g}")
    ):
        close([1.1, 0.0], [1.0, 0.0], GRADIENT)
    close(-1e-6, 0.0, LOG_PROBABILITY)


def test_every_error_is_noted_where_the_environment_says_and_tabulated(tmp_path, monkeypatch):
    monkeypatch.setenv(tolerances.ERRORS, str(tmp_path / "sse.jsonl"))
    for error in (1e-7, 2e-7, 0.0):
        within(error, ELEMENTARY)
    with pytest.raises(AssertionError):
        within(1.0, GRADIENT)
    rows = [json.loads(line) for line in (tmp_path / "sse.jsonl").read_text().splitlines()]
    assert rows[1] == {
        "test": "tests/test_tolerances.py::test_every_error_is_noted_where_the_environment_says_and_tabulated",
        "tolerance": "ELEMENTARY",
        "error": 2e-7,
        "limit": ELEMENTARY.limit,
    }
    assert [row["error"] for row in rows] == [1e-7, 2e-7, 0.0, 1.0]
    command = [sys.executable, str(HELPERS / "tolerances.py"), str(tmp_path / "sse.jsonl")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[0] == "| tolerance | limit | sse |"
    assert (
        printed.splitlines()[2] == f"| ELEMENTARY | {ELEMENTARY.limit:.1e} | 2.0e-07 ({ELEMENTARY.limit / 2e-7:.1f}) |"
    )
    assert printed.strip() == table([str(tmp_path / "sse.jsonl")])


def test_names_are_those_that_tests_use_and_all_are_used():
    named = {value.name: name for name, value in vars(tolerances).items() if isinstance(value, tolerances.Tolerance)}
    assert all(name == other for name, other in named.items())
    used = "".join(path.read_text() for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name)
    assert [name for name in named if not re.search(rf"\b{name}\b", used)] == []


def test_nothing_else_in_the_tests_says_how_close_arrays_must_be():
    others = r"assert_allclose|allclose\(|assert_array_almost|\b[ar]tol="
    own = Path(__file__).name
    assert [path.name for path in TESTS.rglob("*.py") if path.name != own and re.search(others, path.read_text())] == []


def test_the_stated_condition_of_a_gradient_is_the_measured_one():
    """That of the member in `test_training_step` that has most: a prompt of twice the golden size."""
    decoder, params, golden = load_case("bloom")
    batch = batch_of(golden)
    batch.targets[:] = 5

    @jax.jit
    @jax.grad
    def gradient(prompt, params):
        return member_losses(decoder, params, prompt[None], batch)[0].sum()

    prompt, change, found = 2 * jnp.asarray(golden["prompt"]), 2.0**-13, []
    whole = np.asarray(gradient(prompt, params))
    for seed in range(10):
        random = np.random.default_rng(seed)
        moved = jax.tree.map(lambda x: x * jnp.asarray(1 + change * random.choice([-1, 1], x.shape), x.dtype), params)  # noqa: B023
        found.append(error_of(gradient(prompt, moved), whole) / change)
    assert max(found) == pytest.approx(250, rel=0.05)


@pytest.mark.parametrize(
    ("machine", "flags", "wanted"),
    [
        ("x86_64", "fpu sse4_2 avx avx2 fma avx512f", "--xla_cpu_max_isa=SSE4_2"),
        ("x86_64", "fpu sse4_2 avx avx2 fma", "--xla_cpu_max_isa=SSE4_2"),
        ("x86_64", "fpu sse4_2", ""),
        ("aarch64", "fp asimd", ""),
    ],
)
def test_the_other_instruction_set_is_the_oldest_where_the_machine_has_a_newer_one(machine, flags, wanted):
    assert other_instruction_set.flag_for(machine, f"processor : 0\nflags\t\t: {flags}\n\n") == wanted


def test_processes_with_simulated_devices_keep_the_instruction_set(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2")
    assert simulated(8)["XLA_FLAGS"] == "--xla_cpu_max_isa=SSE4_2 --xla_force_host_platform_device_count=8"
    monkeypatch.delenv("XLA_FLAGS")
    assert simulated(8)["XLA_FLAGS"] == "--xla_force_host_platform_device_count=8"
