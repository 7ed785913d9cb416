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

from ipt_jax.decoding.request import Request
from ipt_jax.decoding.schedule import Group, Plan
from ipt_jax.decoding.shared_beginnings import Prefix
from ipt_jax.decoding.strategy import Decoded, Entering, Model, Rows, Strategy, prefill, run
from ipt_jax.models.changes import Changes
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.sharding import cache_spec
from ipt_jax.runtime import compiling, mesh
from ipt_jax.runtime.programs import compilations, flat, program

_log = logging.getLogger(__name__)
# Seconds that XLA takes for SmolLM2's programs on two cores of an AMD EPYC: those of a width, whose layers are scanned,
# and a layer of those of a context, which are not.
_COMPILE_WIDTH, _COMPILE_LAYER = 6, 0.15


class Static(NamedTuple):
    """What programs are made for besides the shapes of their arguments; `shapes` are those of an answer, flattened."""

    decoder: FrozenDecoder
    strategy: Strategy
    devices: Mesh | None
    shapes: tuple[Any, tuple[jax.ShapeDtypeStruct, ...]] | None = None


class Frozen(NamedTuple):
    """What no step changes: parameters, stops and changes as in `strategy.Model`, beginnings as in `prefill`."""

    params: Any
    beginnings: jax.Array | Prefix
    stops: jax.Array
    changes: Changes | None = None


class Waiting(NamedTuple):
    """A row that is to be decoded: which beginning it has, and u32[R, 2] that it draws with, or None."""

    request: Request
    place: int
    key: np.ndarray | None


class Slots:
    """Carries out the plan of a work list."""

    def __init__(self, static: Static, frozen: Frozen, plan: Plan, work: Sequence[Waiting]):
        self.plan, self._work, self._frozen, self._devices = plan, work, frozen, static.devices
        self._warm_up(static, frozen.params)

    def _warm_up(self, static: Static, params: Any) -> None:
        """Compiles every program that the plan can need: `_enter` by width, `_advance` by context, the rest by both."""
        plan, started, before = self.plan, time.monotonic(), compilations()
        widths = sorted({group.width for group in plan.groups})
        seconds = _COMPILE_WIDTH * len(widths) + _COMPILE_LAYER * static.decoder.config.num_layers * len(plan.contexts)
        shape = (plan.slots, plan.entering, *widths, plan.contexts, *flat(self._frozen.beginnings))
        compiling.expect("the programs for decoding", seconds, (static, shape))
        self._layers = program(_unstack, static, params)(params)
        arguments = {group.width: (self._frozen, self._arrays(group)) for group in plan.groups}
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
        model = params, self._layers, self._frozen.stops, self._frozen.changes
        self._advance = {c: program(_advance, static, model, *slots[c], entry, until) for c in slots}
        if fresh := compilations() - before:
            _log.info("compiled %d programs for decoding in %.1f s", fresh, time.monotonic() - started)

    def decode(self) -> Iterator[tuple[list[Request], Decoded]]:
        """Yields rows as they finish: their requests, and what they wrote, on the host."""
        plan, waiting = self.plan, list(self.plan.groups)
        owner = np.full(plan.slots, -1)  # the row in each slot
        context, entry, state = plan.contexts[0], np.int32(0), self._empty()
        model = self._frozen.params, self._layers, self._frozen.stops, self._frozen.changes
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
                entered = self._enter[group.width](self._frozen, self._arrays(group))
                state = self._place[group.width, context](state, entered, places)
            until = np.int32(plan.slots - plan.entering if waiting else 0)
            rows, carried = state
            entry, carried, live, result = self._advance[context](model, rows, carried, entry, until)
            state = rows, carried
            done = np.flatnonzero((owner >= 0) & ~mesh.on_host(live))
            answers = len(result.lengths) // plan.slots
            chosen = (done[:, None] * answers + np.arange(answers)).ravel()
            finished = [self._work[i].request for i in owner[done]]
            owner[done] = -1
            yield finished, Decoded(*(mesh.on_host(leaf)[chosen] for leaf in result))

    def _narrowest(self, group: Group, owner: np.ndarray) -> int:
        """The least context that has room for the rows in the slots and for a group."""
        needed = max([group.width, *(len(self._work[i].request.tokens) for i in owner if i >= 0)])
        return min(c for c in self.plan.contexts if c >= needed)

    def _arrays(self, group: Group) -> Entering:
        rows = [self._work[i] for i in group.rows]
        rows += rows[-1:] * (self.plan.entering - len(rows))
        tokens = np.zeros((len(rows), group.width), np.int32)
        for padded, row in zip(tokens, rows, strict=True):
            padded[: len(row.request.tokens)] = row.request.tokens
        places = np.array([row.place for row in rows], np.int32)
        members = np.array([row.request.adapter for row in rows], np.int32)
        lengths = np.array([len(row.request.tokens) for row in rows], np.int32)
        keys = None if rows[0].key is None else np.stack([row.key for row in rows])
        return mesh.put(Entering(places, members, tokens, lengths, keys), _over_data(self._devices))


@functools.partial(jax.jit, static_argnums=0)
def _unstack(static: Static, params: Any) -> tuple[Any, ...]:
    return static.decoder.unstack(params)


@functools.partial(jax.jit, static_argnums=0)
def _empty(static: Static) -> Any:
    """Slots without rows: zeros are not live."""
    tree, leaves = static.shapes
    return _spread(static, jax.tree.unflatten(tree, [jnp.zeros(leaf.shape, leaf.dtype) for leaf in leaves]))


@functools.partial(jax.jit, static_argnums=0)
def _enter(static: Static, frozen: Frozen, group: Entering) -> tuple[Rows, Any]:
    """Runs a group's inputs and chooses the first token of each."""
    rows, last_hidden = prefill(static.decoder, frozen.params, frozen.beginnings, group, frozen.changes)
    model = Model(static.decoder, frozen.params, (), frozen.stops)  # no step is made: no layers
    return _spread(static, (rows, static.strategy.begin(model, rows, last_hidden)))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _place(static: Static, slots: Any, entered: Any, places: jax.Array) -> Any:
    """Puts a group's rows into the slots i32[b], padded to their room; a place past the last slot is none."""

    def put(leaf, new):
        room = [(0, 0)] + [(0, size - own) for size, own in zip(leaf.shape[1:], new.shape[1:], strict=True)]
        return leaf.at[places].set(jnp.pad(new, room), mode="drop")

    return _spread(static, jax.tree.map(put, slots, entered))


@functools.partial(jax.jit, static_argnums=0)
def _narrow(static: Static, rows: Rows) -> Rows:
    """Cuts off room that no row needs any more."""
    tree, leaves = static.shapes
    return _spread(
        static, jax.tree.map(lambda x, s: x[tuple(map(slice, s.shape))], rows, jax.tree.unflatten(tree, leaves))
    )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _advance(static: Static, model: tuple[Any, ...], rows, carried, entry, until) -> tuple[Any, ...]:
    """Goes on until at most `until` rows are live: the next ring entry, what is carried, bool[B], what was written.

    Args:
      model: what `strategy.Model` has besides the decoder.
    """
    entry, carried = run(static.strategy, Model(static.decoder, *model), rows, carried, entry, until)
    return entry, *_spread(static, (carried, static.strategy.live(carried), static.strategy.result(carried)))


def _answer(function: Callable, static: Static, *arguments: Any) -> Any:
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


def _layouts(static: Static, arrays: Any) -> Any:
    """How the leaves of slots, or of rows that enter them, lie: over `data`, and keys and values as layers make them.

    Left to the rule of the other leaves, every device would gather the heads of all of its group.
    """
    config, devices = static.decoder.config, static.devices

    def layout(path: tuple[Any, ...], _: Any) -> NamedSharding:
        is_cache = any(getattr(key, "name", None) in ("context", "generated") for key in path)
        return NamedSharding(devices, cache_spec(config, devices)) if is_cache else mesh.over_data(devices)

    return jax.tree_util.tree_map_with_path(layout, arrays)


def _spread(static: Static, arrays: Any) -> Any:
    """Slots lie as `_layouts` says, whatever the compiler would prefer: one program's answer fits the next one."""
    if static.devices is None:
        return arrays
    return jax.lax.with_sharding_constraint(arrays, _layouts(static, arrays))
