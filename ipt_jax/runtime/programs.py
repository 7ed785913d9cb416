"""Programs compiled ahead for shapes, the latest used of them kept: a process may not have any number of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding

# A program of a decoder takes 50 to 130 mappings of memory on a CPU, whatever its depth (XLA compiles it in at most 32
# parts), and Linux gives a process 65,530.
MOST = 256


def program(function: Callable, static: Any, *arguments: Any) -> Callable:
    """The program of a jitted function for arguments of these shapes, compiled at most once while it is kept.

    Args:
      static: the function's first argument, which its jit has as static; the program itself takes the others.
    """
    return _compile(function, static, *flat(arguments))


def compilations() -> int:
    """How many programs this process has compiled here."""
    return _compile.cache_info().misses


def flat(arguments: Any) -> tuple[Any, tuple[jax.ShapeDtypeStruct, ...]]:
    """The shapes of arguments as a key; on a mesh their layout is a part of it."""
    leaves, tree = jax.tree.flatten(arguments)
    shapes = []
    for leaf in leaves:
        sharding = leaf.sharding if isinstance(getattr(leaf, "sharding", None), NamedSharding) else None
        shapes.append(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding))
    return tree, tuple(shapes)


@functools.lru_cache(maxsize=MOST)
def _compile(function: Callable, static: Any, tree: Any, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Callable:
    compiled = function.lower(static, *jax.tree.unflatten(tree, leaves)).compile()
    function.clear_cache()  # else what it was lowered to would keep the program when it is dropped here
    return compiled
