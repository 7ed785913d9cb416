"""Slots for rows that are decoded together: a finished row leaves and waiting ones enter.

Every program is compiled ahead, from the shapes of the plan alone. A shape that nobody planned is then an error, and
never a compilation in the middle of the work.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from ipt_jax.decoding.schedule import Group, Plan
from ipt_jax.decoding.shared_beginnings import Prefix
from ipt_jax.decoding.strategy import Decoded, Model, Rows, Strategy, prefill, run
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.sharding import cache_spec
from ipt_jax.runtime import compiling, mesh
from ipt_jax.runtime.programs import compilations, flat, program

_log = logging.getLogger(__name__)
# Seconds that XLA takes for SmolLM2's programs on two cores of an AMD EPYC: those of a width, whose layers are scanned,
# and a layer of those of a context, which are not.
_COMPILE_WIDTH, _COMPILE_LAYER = 6, 0.15


class _Static(NamedTuple):
    """What programs are made for besides the shapes of their arguments; `shapes` are those of an answer, flattened."""

    decoder: FrozenDecoder
    strategy: Strategy
    devices: Mesh | None
    shapes: tuple[Any, tuple[jax.ShapeDtypeStruct, ...]] | None = None


class Slots:
    """Carries out a plan.

    Args:
      prompts, stops: as in `strategy.prefill` and `strategy.Model`.
      work: (index of the prompt, token ids) of each row.
      keys: u32[N, R, 2] of each row, or None.
      devices: spreads slots over the `data` axis of a mesh.
    """

    def __init__(
        self,
        decoder: FrozenDecoder,
        params: Any,
        prompts: jax.Array | Prefix,
        stops: jax.Array,
        strategy: Strategy,
        plan: Plan,
        work: Sequence[tuple[int, Sequence[int]]],
        keys: np.ndarray | None,
        devices: Mesh | None,
    ):
        self.plan, self._work, self._keys, self._devices = plan, work, keys, devices
        self._model, self._stops = (params, prompts, stops), stops
        self._warm_up(_Static(decoder, strategy, devices), params)

    def _warm_up(self, static: _Static, params: Any) -> None:
        """Compiles every program that the plan can need: `_enter` by width, `_advance` by context, the rest by both."""
        plan, started, before = self.plan, time.monotonic(), compilations()
        widths = sorted({group.width for group in plan.groups})
        seconds = _COMPILE_WIDTH * len(widths) + _COMPILE_LAYER * static.decoder.config.num_layers * len(plan.contexts)
        shape = (plan.slots, plan.entering, *widths, plan.contexts, *flat(self._model[1]))
        compiling.expect("the programs for decoding", seconds, (static, shape))
        self._layers = program(_unstack, static, params)(params)
        arguments = {group.width: (*self._model, *self._arrays(group)) for group in plan.groups}
        self._enter = {width: program(_enter, static, *each) for width, each in arguments.items()}
        entered = {width: _answer(_enter, static, *each) for width, each in arguments.items()}
        slots = {
            c: _answer(_empty, static._replace(shapes=flat(_grown(entered[c], plan.slots)))) for c in plan.contexts
        }
        self._empty = program(_empty, static._replace(shapes=flat(slots[plan.contexts[0]])))
        places = np.zeros(plan.entering, np.int32)
        self._place = {
            (w, c): program(_place, static, slots[c], entered[w], places) for w in entered for c in slots if w <= c
        }
        self._narrow = {
            (wide, c): program(_narrow, static._replace(shapes=flat(slots[c][0])), slots[wide][0])
            for wide in slots
            for c in slots
            if c < wide
        }
        until = entry = np.int32(0)
        self._advance = {
            c: program(_advance, static, params, self._layers, self._stops, *slots[c], entry, until) for c in slots
        }
        if fresh := compilations() - before:
            _log.info("compiled %d programs for decoding in %.1f s", fresh, time.monotonic() - started)

    def decode(self) -> Iterator[tuple[list[int], Decoded]]:
        """Yields rows as they finish: their indices into the work list, and what they wrote, on the host."""
        plan, waiting = self.plan, list(self.plan.groups)
        owner = np.full(plan.slots, -1)  # the row in each slot
        context, entry, state = plan.contexts[0], np.int32(0), self._empty()
        while waiting or (owner >= 0).any():
            while waiting and (owner < 0).sum() >= plan.entering:
                group = waiting.pop(0)
                narrow = self._narrowest(group, owner)
                if narrow < context:
                    state, context = (self._narrow[context, narrow](state[0]), state[1]), narrow
                free = np.flatnonzero(owner < 0)[: len(group.rows)]
                owner[free] = group.rows
                # A group that is not full is filled up with its last row, for which there is no place.
                places = np.full(plan.entering, plan.slots, np.int32)
                places[: len(free)] = free
                entered = self._enter[group.width](*self._model, *self._arrays(group))
                state = self._place[group.width, context](state, entered, places)
            until = np.int32(plan.slots - plan.entering if waiting else 0)
            (rows, carried), (params, _, stops) = state, self._model
            entry, carried, live, result = self._advance[context](
                params, self._layers, stops, rows, carried, entry, until
            )
            state = rows, carried
            done = np.flatnonzero((owner >= 0) & ~mesh.on_host(live))
            answers = len(result.lengths) // plan.slots
            chosen = (done[:, None] * answers + np.arange(answers)).ravel()
            finished, owner[done] = owner[done].tolist(), -1
            yield finished, Decoded(*(mesh.on_host(leaf)[chosen] for leaf in result))

    def _narrowest(self, group: Group, owner: np.ndarray) -> int:
        """The least context that has room for the rows in the slots and for a group."""
        needed = max([group.width, *(len(self._work[i][1]) for i in owner if i >= 0)])
        return min(c for c in self.plan.contexts if c >= needed)

    def _arrays(self, group: Group) -> tuple[Any, ...]:
        """Prompt index, tokens, lengths and keys of a group's rows, on the devices."""
        chosen = [*group.rows, *group.rows[-1:] * (self.plan.entering - len(group.rows))]
        tokens = np.zeros((len(chosen), group.width), np.int32)
        for row, i in zip(tokens, chosen, strict=True):
            row[: len(self._work[i][1])] = self._work[i][1]
        index = np.array([self._work[i][0] for i in chosen], np.int32)
        lengths = np.array([len(self._work[i][1]) for i in chosen], np.int32)
        keys = None if self._keys is None else self._keys[chosen]
        return mesh.put((index, tokens, lengths, keys), _over_data(self._devices))


@functools.partial(jax.jit, static_argnums=0)
def _unstack(static: _Static, params: Any) -> tuple[Any, ...]:
    return static.decoder.unstack(params)


@functools.partial(jax.jit, static_argnums=0)
def _empty(static: _Static) -> Any:
    """Slots without rows: zeros are not live."""
    tree, leaves = static.shapes
    return _spread(static, jax.tree.unflatten(tree, [jnp.zeros(leaf.shape, leaf.dtype) for leaf in leaves]))


@functools.partial(jax.jit, static_argnums=0)
def _enter(static: _Static, params, prompts, stops, prompt_index, tokens, lengths, keys) -> tuple[Rows, Any]:
    """Runs a group's inputs and chooses the first token of each."""
    rows, last_hidden = prefill(static.decoder, params, prompts, prompt_index, tokens, lengths, keys)
    model = Model(static.decoder, params, (), stops)  # no step is made: no layers
    return _spread(static, (rows, static.strategy.begin(model, rows, last_hidden)))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _place(static: _Static, slots: Any, entered: Any, places: jax.Array) -> Any:
    """Puts a group's rows into the slots i32[b], padded to their room; a place past the last slot is none."""

    def put(leaf, new):
        room = [(0, 0)] + [(0, size - own) for size, own in zip(leaf.shape[1:], new.shape[1:], strict=True)]
        return leaf.at[places].set(jnp.pad(new, room), mode="drop")

    return _spread(static, jax.tree.map(put, slots, entered))


@functools.partial(jax.jit, static_argnums=0)
def _narrow(static: _Static, rows: Rows) -> Rows:
    """Cuts off room that no row needs any more."""
    tree, leaves = static.shapes
    return _spread(
        static, jax.tree.map(lambda x, s: x[tuple(map(slice, s.shape))], rows, jax.tree.unflatten(tree, leaves))
    )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=5)
def _advance(static: _Static, params, layers, stops, rows, carried, entry, until) -> tuple[Any, ...]:
    """Goes on until at most `until` rows are live: the next ring entry, what is carried, bool[B], what was written."""
    model = Model(static.decoder, params, layers, stops)
    entry, carried = run(static.strategy, model, rows, carried, entry, until)
    return entry, *_spread(static, (carried, static.strategy.live(carried), static.strategy.result(carried)))


def _answer(function: Callable, static: _Static, *arguments: Any) -> Any:
    """The shapes that `function` gives, as they lie on the devices."""
    shapes = jax.eval_shape(functools.partial(function, static), *arguments)
    if static.devices is None:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shapes)
    return jax.tree.map(
        lambda leaf, layout: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout),
        *(shapes, _layouts(static, shapes)),
    )


def _grown(shapes: Any, slots: int) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((slots, *leaf.shape[1:]), leaf.dtype), shapes)


def _over_data(devices: Mesh | None) -> NamedSharding | None:
    return None if devices is None else mesh.over_data(devices)


def _layouts(static: _Static, arrays: Any) -> Any:
    """How the leaves of slots, or of rows that enter them, lie: over `data`, and keys and values as layers make them.

    Left to the rule of the other leaves, every device would gather the heads of all of its group.
    """
    config, devices = static.decoder.config, static.devices

    def layout(path: tuple[Any, ...], _: Any) -> NamedSharding:
        is_cache = any(getattr(key, "name", None) in ("context", "generated") for key in path)
        return NamedSharding(devices, cache_spec(config, devices)) if is_cache else mesh.over_data(devices)

    return jax.tree_util.tree_map_with_path(layout, arrays)


def _spread(static: _Static, arrays: Any) -> Any:
    """Slots lie as `_layouts` says, whatever the compiler would prefer: one program's answer fits the next one."""
    if static.devices is None:
        return arrays
    return jax.lax.with_sharding_constraint(arrays, _layouts(static, arrays))
