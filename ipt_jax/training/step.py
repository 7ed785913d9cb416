"""Trains the adapters of a population on one frozen language model: state, loss, step."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ipt_jax.adapters.injection import Adapter, Injection
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.rows.batching import Batch
from ipt_jax.runtime import mesh
from ipt_jax.training.losses import member_losses, members_at_once
from ipt_jax.training.recipe import Recipe

NEVER = -1


class TrainState(NamedTuple):
    """All that changes in training; every leaf but `step` has a leading member axis K.

    Attributes:
      step: i32[], steps done.
      params: the adapters' parameters (of soft prompts: table and MLP).
      opt_state: the optimizer's state, one per member.
      best_prompt: what is kept of the parameters with the lowest dev loss so far; of soft prompts f32[K, P, E].
      best_dev_loss: f32[K]; best_step: i32[K].
      failed_step: i32[K], the step whose loss or gradient was not finite, or -1. Such a member stays as
        it was before that step and no longer moves; the others go on.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    best_prompt: Any
    best_dev_loss: jax.Array
    best_step: jax.Array
    failed_step: jax.Array


class StepMetrics(NamedTuple):
    """f32[K] each: mean loss per target token, gradient norm before clipping, learning rate."""

    loss: jax.Array
    gradient_norm: jax.Array
    learning_rate: jax.Array


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The compiled functions of one population. Hashable: its fields are static to `jax.jit`.

    Attributes:
      adapter: what is trained.
      recipe: how it is moved.
      rematerialisation: what a gradient finds of each layer, see `models.rematerialisation`.
      axis: what several devices share out, see `losses.member_losses`.
      bos_id: a token that stands before the rows of a soft prompt, and not at the beginning of the batch's rows.
    """

    decoder: FrozenDecoder
    adapter: Adapter
    recipe: Recipe
    rematerialisation: str = "dots"
    axis: str = "members"
    bos_id: int | None = None

    def init(self, params: Any) -> TrainState:
        """The state before the first step, for parameters from `Kind.create`."""
        folded = self.adapter.fold(params)
        members = len(jax.tree.leaves(folded)[0])
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=jax.vmap(self.recipe.make_optimizer().init)(params),
            best_prompt=jax.tree.map(jnp.array, folded),  # copies: some are the parameters, and a step donates both
            best_dev_loss=jnp.full((members,), jnp.inf, jnp.float32),
            best_step=jnp.full((members,), NEVER, jnp.int32),
            failed_step=jnp.full((members,), NEVER, jnp.int32),
        )

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def step(
        self, state: TrainState, lm_params: Any, learning_rates: jax.Array, batch: Batch
    ) -> tuple[TrainState, StepMetrics]:
        """One optimizer step of every member. Only `state` is donated; `lm_params` is read and never written.

        Args:
          learning_rates: f32[K], each member's peak.
        """
        losses, gradients = self._gradients(state.params, lm_params, batch)
        norms = jax.vmap(optax.tree.norm)(gradients)
        updates, opt_state = jax.vmap(self.recipe.make_optimizer().update)(gradients, state.opt_state, state.params)
        factor = self.recipe.make_schedule()(state.step)
        rates = learning_rates * factor
        moved = jax.tree.map(lambda p, u: p - u * _per_member(rates, u), state.params, updates)

        finite = jnp.isfinite(losses) & jnp.isfinite(norms)
        failed_step = jnp.where(finite | (state.failed_step != NEVER), state.failed_step, state.step + 1)
        alive = failed_step == NEVER

        def keep(new, old):
            return jax.tree.map(lambda n, o: jnp.where(_per_member(alive, n), n, o), new, old)

        state = state._replace(
            step=state.step + 1,
            params=keep(moved, state.params),
            opt_state=keep(opt_state, state.opt_state),
            failed_step=failed_step,
        )
        return state, StepMetrics(losses, norms, rates)

    def _gradients(self, params: Any, lm_params: Any, batch: Batch) -> tuple[jax.Array, Any]:
        """Mean losses f32[K] and each member's gradient of its own; as many members at once as this machine likes."""
        members, rows, length = batch.tokens.shape
        before = jax.eval_shape(self._injected, params, lm_params).positions
        positions = rows // self.recipe.accumulate * length + before
        together = members_at_once(members, positions)
        if together == members:
            return self._joint_gradients(params, lm_params, batch)

        def cut(array):
            return array.reshape(members // together, together, *array.shape[1:])

        parts = jax.tree.map(cut, (params, batch))
        answers = jax.lax.map(lambda part: self._joint_gradients(part[0], lm_params, part[1]), parts)
        return jax.tree.map(lambda array: array.reshape(members, *array.shape[2:]), answers)

    def _joint_gradients(self, params: Any, lm_params: Any, batch: Batch) -> tuple[jax.Array, Any]:
        """`_gradients` of members whose rows run as one larger batch.

        Parts of a batch are weighted by what the whole batch counts, so their sum is the whole batch's.
        """
        counts = batch.weights.sum(axis=(1, 2))

        def loss(params, part):
            adapters = self._injected(params, lm_params)
            total, _ = member_losses(self.decoder, lm_params, adapters, part, self.rematerialisation, self.axis)
            mean = total / counts
            return mean.sum(), mean  # a member's gradient sees its own term alone

        differentiate = jax.value_and_grad(loss, has_aux=True)
        if self.recipe.accumulate == 1:
            (_, losses), gradients = differentiate(params, batch)
            return losses, gradients

        def add(sums, part):
            (_, losses), gradients = differentiate(params, part)
            return jax.tree.map(jnp.add, sums, (losses, gradients)), None

        zeros = jax.tree.map(jnp.zeros_like, (counts, params))
        return jax.lax.scan(add, zeros, _parts(batch, self.recipe.accumulate))[0]

    @functools.partial(jax.jit, static_argnums=0)
    def losses(self, params: Any, lm_params: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """`member_losses` without gradients: for the dev split."""
        return member_losses(self.decoder, lm_params, self._injected(params, lm_params), batch, axis=self.axis)

    def _injected(self, params: Any, lm_params: Any) -> Injection:
        adapters = self.adapter.inject(self.adapter.fold(params))
        if self.bos_id is None:
            return adapters
        return adapters.behind(self.decoder.embed(lm_params, jnp.array([self.bos_id])))

    def dev_loss(self, params: Any, lm_params: Any, batches: list[Batch]) -> np.ndarray:
        """Mean loss per target token over all batches: f32[K]."""
        totals = [self.losses(params, lm_params, batch) for batch in batches]
        return mesh.on_host(sum(t for t, _ in totals) / sum(c for _, c in totals))

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def keep_best(self, state: TrainState, dev_losses: jax.Array) -> TrainState:
        """Takes the present adapters as best where their dev loss is the lowest so far."""
        better = (dev_losses < state.best_dev_loss) & (state.failed_step == NEVER)
        folded = self.adapter.fold(state.params)
        return state._replace(
            best_prompt=jax.tree.map(
                lambda new, old: jnp.where(_per_member(better, new), new, old), folded, state.best_prompt
            ),
            best_dev_loss=jnp.where(better, dev_losses, state.best_dev_loss),
            best_step=jnp.where(better, state.step, state.best_step),
        )


def _parts(batch: Batch, count: int) -> Batch:
    """[K, B, …] → [count, K, B / count, …]. Part i has the rows i, i + count, …: each device keeps the rows it has."""

    def cut(array):
        members, rows, *rest = array.shape
        return jnp.moveaxis(array.reshape(members, rows // count, count, *rest), 2, 0)

    return jax.tree.map(cut, batch)


def _per_member(values: jax.Array, like: jax.Array) -> jax.Array:
    """[K] shaped to broadcast over a leaf [K, …]."""
    return values.reshape(values.shape + (1,) * (like.ndim - 1))
