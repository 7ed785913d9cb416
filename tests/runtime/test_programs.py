"""Compiled programs: each once, and gone when they are dropped."""

import functools
import gc
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from ipt_jax.runtime import programs

MAPS = Path("/proc/self/maps")


@functools.partial(jax.jit, static_argnums=0)
def scaled(factor, x):
    return jax.lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x @ x.T) @ x * factor, x)


def shape(rows):
    return jax.ShapeDtypeStruct((rows, 3), jnp.float32)


def test_a_program_is_compiled_once_for_a_shape():
    before = programs.compilations()
    assert programs.program(scaled, 2, shape(4)) is programs.program(scaled, 2, jnp.ones((4, 3)))
    assert programs.program(scaled, 2, shape(5)) is not programs.program(scaled, 3, shape(5))
    assert programs.compilations() == before + 3
    assert programs.program(scaled, 2, shape(4))(jnp.zeros((4, 3))).shape == (4, 3)


@pytest.mark.skipif(not MAPS.exists(), reason="needs /proc")
def test_the_memory_mappings_of_a_program_go_with_it(monkeypatch):
    """Linux gives a process 65,530: programs that stay for ever end in "cannot allocate memory"."""
    few = functools.lru_cache(maxsize=2)(programs._compile.__wrapped__)
    monkeypatch.setattr(programs, "_compile", few)
    counts = []
    for rows in range(10, 16):
        programs.program(scaled, 2, shape(rows))
        gc.collect()
        counts.append(len(MAPS.read_text().splitlines()))
    each = counts[1] - counts[0]
    assert each > 0 and max(counts) - counts[1] < 2 * each
