"""Training: gradients by argument, members that do not touch each other, and a resume that is exact."""

import dataclasses
import math
import signal
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_lm
from tolerances import ELEMENTARY, FINITE_DIFFERENCE, GRADIENT, LOSS, TRAINING, close
from training_rows import make_rows

from ipt_jax.adapters.soft_prompt import SoftPrompts
from ipt_jax.errors import InputError
from ipt_jax.rows.batching import collate
from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.order import Order
from ipt_jax.runtime.shapes import few_shapes
from ipt_jax.training import loop
from ipt_jax.training.checkpoints import Checkpoints
from ipt_jax.training.journal import Cadence
from ipt_jax.training.recipe import Recipe
from ipt_jax.training.step import NEVER, Trainer, member_losses

P, STEPS = 4, 12
LONGER = 50  # of all runs that are longer: the number is part of the program that is compiled


@pytest.fixture(scope="module", params=["llama", pytest.param("gpt2", marks=pytest.mark.slow)])
def lm(request):
    return tiny_lm(request.param)


def make(lm, seeds, steps=STEPS, reparameterisation="mlp", **settings):
    rows = np.stack([np.random.default_rng(s).standard_normal((P, 32)) for s in seeds]).astype(np.float32)
    prompts, params = SoftPrompts.create(
        rows, reparameterisation=reparameterisation, hidden=8, member_seeds=list(seeds)
    )
    trainer = Trainer(lm.decoder, prompts, Recipe(steps, warmup_steps=2, weight_decay=0.01, **settings))
    return trainer, trainer.init(params)


def batch_for(rows, seeds, step, size=4):
    sizes = row_sizes(rows)
    orders = [Order(seed, sizes[:, 0], size) for seed in seeds]
    return collate(
        [[rows[i] for i in order.at(step)] for order in orders], few_shapes(sizes.max(axis=0, keepdims=True), 1)
    )


def run(lm, seeds, rates, steps=STEPS):
    trainer, state = make(lm, seeds, steps)
    rows = make_rows(lm)
    losses = []
    for step in range(steps):
        state, metrics = trainer.step(state, lm.params, jnp.asarray(rates, jnp.float32), batch_for(rows, seeds, step))
        losses.append(np.asarray(metrics.loss))
    return np.asarray(trainer.adapter.fold(state.params)), state, np.array(losses)


def test_the_loss_falls_and_the_language_model_is_bit_equal_before_and_after(lm):
    before = jax.tree.map(lambda x: np.array(x), lm.params)
    _, _, losses = run(lm, [0], [0.05], steps=LONGER)
    assert losses[-5:].mean() < losses[:5].mean() - 0.2
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(lm.params), strict=True):
        assert old.tobytes() == np.asarray(new).tobytes()


def test_the_state_holds_nothing_of_the_language_model(lm):
    _, state = make(lm, [0])
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) < lm.decoder.config.vocab_size * 32


def test_the_loss_is_that_of_the_whole_sequence_by_hand(lm):
    row = make_rows(lm)[3]
    prompt = np.random.default_rng(0).standard_normal((1, P, 32)).astype(np.float32)
    total, count = jax.jit(member_losses, static_argnums=0)(lm.decoder, lm.params, prompt, collate([[row]]))

    @jax.jit
    def logits_of(tokens):
        embedded = jnp.concatenate([prompt, lm.decoder.embed(lm.params, tokens)], axis=1)
        return lm.decoder.project(lm.params, lm.decoder.hidden(lm.params, embedded))[0]

    log_probabilities = np.asarray(jax.nn.log_softmax(logits_of(np.array([row.tokens]))), np.float64)
    expected = -sum(
        log_probabilities[P + place - 1, row.tokens[place]] for place in range(row.source_length, len(row.tokens))
    )
    assert count[0] == len(row.tokens) - row.source_length
    close(total[0], expected, LOSS)


def test_the_prompts_gradient_equals_finite_differences(lm):
    batch = collate([make_rows(lm, 4)])
    prompt = jnp.asarray(np.random.default_rng(0).standard_normal((1, P, 32)), jnp.float32)
    loss = jax.jit(lambda rows: member_losses(lm.decoder, lm.params, rows, batch)[0].sum())
    gradient = jax.grad(loss)(prompt)
    for seed in range(4):
        direction = np.random.default_rng(seed).standard_normal(prompt.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        step = 4e-2
        # Richardson: the error of the symmetric difference falls with the fourth power of the step.
        near, far = (
            float(loss(prompt + h * direction) - loss(prompt - h * direction)) / (2 * h) for h in (step, 2 * step)
        )
        close((gradient * direction).sum(), (4 * near - far) / 3, FINITE_DIFFERENCE, scale=jnp.linalg.norm(gradient))


def test_each_member_of_a_population_gets_what_its_solo_run_gets(lm):
    together, _, losses = run(lm, [0, 1, 2], [1e-2, 3e-2, 1e-3], steps=LONGER)
    for k, (seed, rate) in enumerate([(0, 1e-2), (1, 3e-2), (2, 1e-3)]):
        alone, _, solo_losses = run(lm, [seed], [rate], steps=LONGER)
        close(losses[:, k], solo_losses[:, 0], TRAINING)
        close(together[k], alone[0], TRAINING)


def test_a_member_that_blows_up_is_frozen_at_its_last_good_state_and_touches_nobody(lm):
    seeds = [0, 1]
    trainer, state = make(lm, seeds)
    rows = make_rows(lm)
    rates = jnp.asarray([1e-2, 1e-2], jnp.float32)
    for step in range(3):
        state, _ = trainer.step(state, lm.params, rates, batch_for(rows, seeds, step))
    good = jax.tree.map(lambda leaf: np.array(leaf[1]), state.params)
    broken = batch_for(rows, seeds, 3)
    broken.weights[1] = np.nan
    state, metrics = trainer.step(state, lm.params, rates, broken)
    assert math.isnan(float(metrics.loss[1]))
    for step in range(4, STEPS):
        state, _ = trainer.step(state, lm.params, rates, batch_for(rows, seeds, step))
    assert state.failed_step.tolist() == [NEVER, 4]
    frozen = jax.tree.map(lambda leaf: np.array(leaf[1]), state.params)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(good), jax.tree.leaves(frozen), strict=True))
    healthy, _, _ = run(lm, seeds, [1e-2, 1e-2])
    assert (np.asarray(trainer.adapter.fold(state.params))[0] == healthy[0]).all()


def one_step(lm, **settings):
    """Prompts, losses and gradient norms after a step in which two members have rows of unlike lengths."""
    trainer, state = make(lm, [0, 1], **settings)
    batch = batch_for(make_rows(lm), [0, 1], 0, size=6)
    batch.weights[0, 0, 2:] = 0.0  # parts with unlike numbers of targets
    state, metrics = trainer.step(state, lm.params, jnp.asarray([1e-2, 3e-2], jnp.float32), batch)
    return np.asarray(trainer.adapter.fold(state.params)), np.asarray(metrics.loss), np.asarray(metrics.gradient_norm)


@pytest.mark.parametrize("parts", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_batch_run_in_parts_takes_the_step_of_the_whole_batch(parts):
    lm, plain = tiny_lm(), {"optimizer": "sgd", "reparameterisation": "none"}
    for ours, expected in zip(one_step(lm, **plain, accumulate=parts), one_step(lm, **plain), strict=True):
        close(ours, expected, GRADIENT)


@pytest.mark.parametrize("optimizer", ["adafactor", "sgd", "lion"])
def test_members_keep_apart_under_every_optimizer(optimizer):
    options = (("momentum", 0.9),) if optimizer == "sgd" else ()
    settings = {"optimizer": optimizer, "options": options, "schedule": "cosine", "reparameterisation": "none"}
    lm = tiny_lm()
    rows, prompts = make_rows(lm), {}
    for seeds in ([0, 1], [1]):
        trainer, state = make(lm, seeds, steps=4, **settings)
        for step in range(4):
            rates = jnp.asarray([0.1 * (1 + seed) for seed in seeds], jnp.float32)
            state, _ = trainer.step(state, lm.params, rates, batch_for(rows, seeds, step))
        prompts[len(seeds)] = np.asarray(trainer.adapter.fold(state.params))
    start = np.asarray(make(lm, [1], **settings)[0].adapter.fold(make(lm, [1], **settings)[1].params))
    assert np.abs(prompts[1] - start).max() > 1e-3
    close(prompts[2][1], prompts[1][0], TRAINING)


def test_steps_of_one_shape_compile_once(lm):
    trainer, state = make(lm, [0, 1], steps=99, reparameterisation="none")
    rows, before = make_rows(lm), Trainer.step._cache_size()
    rates = jnp.asarray([1e-2, 1e-2], jnp.float32)
    shapes = set()
    for step in range(6):
        batch = batch_for(rows, [0, 1], step)
        shapes.add((batch.tokens.shape, batch.targets.shape))
        state, _ = trainer.step(state, lm.params, rates, batch)
    assert Trainer.step._cache_size() - before == len(shapes) == 1


class Killed(Exception):
    """Stands for kill -9 at a step."""


def train_in_folder(lm, folder, rows, kill_at=None, poison_at=None, sigterm_at=None, metrics=None, log=1):
    seeds = [0, 1]
    trainer, state = make(lm, seeds)
    metrics = {0: [], 1: []} if metrics is None else metrics

    class Remembered:
        title = "test"

        def log(self, member, new):
            metrics[member].extend(new)

        def rewind(self, step):
            for k in metrics:
                metrics[k][:] = [row for row in metrics[k] if row["step"] <= step]

    def batch_at(step):
        if step == kill_at:
            raise Killed
        if step == sigterm_at:
            signal.raise_signal(signal.SIGTERM)
        batch = batch_for(rows, seeds, step)
        if poison_at is not None and step >= poison_at:
            batch.weights[:] = np.nan
        return batch

    rates = np.float32([1e-2, 3e-2])
    feed = SimpleNamespace(batch=batch_at, dev=[batch_for(rows, seeds, 1000)], learning_rates=rates)
    checkpoints = Checkpoints(folder)
    try:
        state = loop.train(
            trainer,
            state,
            lm.params,
            feed,
            Cadence(evaluate=3, checkpoint=4, log=log),
            checkpoints,
            Remembered(),
        )
    finally:
        checkpoints.close()
    return state, metrics


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """State and metrics of a whole training."""
    lm = tiny_lm()
    return train_in_folder(lm, tmp_path_factory.mktemp("whole"), make_rows(lm))


def test_a_resumed_run_ends_with_the_same_bits_as_an_uninterrupted_one(uninterrupted, tmp_path):
    lm = tiny_lm()
    rows, whole = make_rows(lm), uninterrupted[0]
    for kill_at in (2, 7, 9):
        with pytest.raises(Killed):
            train_in_folder(lm, tmp_path / "killed", rows, kill_at)
    resumed, metrics = train_in_folder(lm, tmp_path / "killed", rows)
    assert metrics[0][0]["step"] == 9  # it went on from the checkpoint at 8, not from the start
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_sigterm_saves_the_step_that_runs_and_asks_to_be_restarted(uninterrupted, tmp_path):
    lm, whole = tiny_lm(), uninterrupted[0]
    rows, kept = make_rows(lm), {0: [], 1: []}
    with pytest.raises(SystemExit) as left:
        train_in_folder(lm, tmp_path / "preempted", rows, sigterm_at=6, metrics=kept)
    assert left.value.code == 75 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    done = max(row["step"] for row in kept[0])
    assert done in (6, 7)  # checkpoints are due at 4 and 8
    resumed, metrics = train_in_folder(lm, tmp_path / "preempted", rows)
    assert metrics[0][0]["step"] == done + 1
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_metrics_tell_size_and_path_of_the_prompt_and_how_long_the_device_waited(uninterrupted):
    metrics = uninterrupted[1]
    measured = [row for row in metrics[1] if "dev_loss" in row]
    assert measured[0]["prompt_moved"] == 0.0 < measured[1]["prompt_moved"] < measured[-1]["prompt_moved"]
    assert all(row["prompt_norm"] > 0 for row in measured)
    assert all(0 <= row["host_wait"] <= 1 for row in metrics[1] if "loss" in row)


def test_the_first_and_the_last_step_have_a_row_whatever_the_cadence(uninterrupted, tmp_path):
    lm = tiny_lm()
    state, metrics = train_in_folder(lm, tmp_path, make_rows(lm), log=5)
    assert [row["step"] for row in metrics[1] if "loss" in row] == [1, 5, 10, STEPS]
    for a, b in zip(jax.tree.leaves(uninterrupted[0]), jax.tree.leaves(state), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("kill_at", [0, 1, 4, 9])
def test_a_resumed_run_has_every_row_of_metrics_once(uninterrupted, tmp_path, kill_at):
    lm, whole = tiny_lm(), uninterrupted[1]
    rows, kept = make_rows(lm), {0: [], 1: []}
    with pytest.raises(Killed):  # at 0: after the checkpoint of step 0, before the first step
        train_in_folder(lm, tmp_path / "killed", rows, kill_at, metrics=kept)
    train_in_folder(lm, tmp_path / "killed", rows, metrics=kept)
    for k in (0, 1):
        assert [(r["step"], r.get("loss"), r.get("dev_loss")) for r in kept[k]] == [
            (r["step"], r.get("loss"), r.get("dev_loss")) for r in whole[k]
        ]


def test_the_best_dev_loss_decides_which_prompt_is_kept(uninterrupted):
    state, metrics = uninterrupted
    for k in (0, 1):
        losses = {row["step"]: row["dev_loss"] for row in metrics[k] if "dev_loss" in row}
        assert set(losses) == {0, 3, 6, 9, 12}
        close(state.best_dev_loss[k], min(losses.values()), ELEMENTARY)
        assert losses[int(state.best_step[k])] == min(losses.values())


def test_training_stops_when_no_member_is_left_and_keeps_the_last_good_state(tmp_path):
    lm = tiny_lm()
    state, metrics = train_in_folder(lm, tmp_path, make_rows(lm), poison_at=5)
    assert state.failed_step.tolist() == [6, 6] and int(state.step) < STEPS
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves((state.params, state.best_prompt)))
    assert max(row["step"] for row in metrics[0] if "loss" in row) == 5


def test_a_loss_that_is_not_finite_before_the_first_step_is_the_models_fault(tmp_path):
    lm = tiny_lm()
    spoiled = dataclasses.replace(lm, params=jax.tree.map(lambda leaf: leaf * jnp.nan, lm.params))
    with pytest.raises(InputError, match="not finite before the first step: .* not the learning rate"):
        train_in_folder(spoiled, tmp_path, make_rows(lm))
