"""The divergence of a student from a teacher, against all logits at once, and in a whole model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import DIFFERENT, load_case
from tolerances import GRADIENT, HEAD, LOSS, close
from training_batches import batch_of

from ipt_jax.training.distillation import distillation_losses
from ipt_jax.training.losses import member_losses


def logits_of(states, table, softcap):
    logits = jnp.einsum("bre,ve->brv", states, table, precision="highest")
    return logits if softcap is None else softcap * jnp.tanh(logits / softcap)


def obvious(student, teacher, table, softcap):
    ours, theirs = (jax.nn.log_softmax(logits_of(x, table, softcap), axis=-1) for x in (student, teacher))
    return (jnp.exp(theirs) * (theirs - ours)).sum(axis=-1)


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize(("words", "parts", "block"), [(40, 1, 40), (40, 1, 16), (42, 1, 5), (40, 2, 8), (40, 4, 10)])
def test_in_blocks_of_words_it_and_its_gradient_are_those_of_all_logits(softcap, words, parts, block):
    keys = jax.random.split(jax.random.key(0), 4)
    student, teacher = (2 * jax.random.normal(key, (2, 3, 8)) for key in keys[:2])
    table, weights = jax.random.normal(keys[2], (words, 8)), jax.random.normal(keys[3], (2, 3))

    def answer(divergence):
        def loss(student):
            each = divergence(student)
            return (each * weights).sum(), each

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(student)

    (_, ours), gradient = answer(lambda x: distillation_losses(x, teacher, table, softcap, block, parts))
    (_, wanted), expected = answer(lambda x: obvious(x, teacher, table, softcap))
    close(ours, wanted, HEAD)
    close(gradient, expected, GRADIENT)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    states, table = jax.random.normal(jax.random.key(0), (2, 3, 8)), jax.random.normal(jax.random.key(1), (40, 8))
    losses, gradient = jax.value_and_grad(lambda x: distillation_losses(x, states, table).sum())(states)
    assert abs(losses) < 1e-5 and abs(gradient).max() < 1e-5


def test_the_teacher_gets_no_gradient():
    states, table = jax.random.normal(jax.random.key(0), (2, 3, 8)), jax.random.normal(jax.random.key(1), (40, 8))
    gradient = jax.grad(lambda x: distillation_losses(2 * states, x, table).sum())(states)
    assert (gradient == 0).all()


def test_it_stays_finite_where_logits_are_far_beyond_what_exp_can_hold():
    states, table = 100 * jax.random.normal(jax.random.key(0), (1, 3, 8)), jax.random.normal(jax.random.key(1), (40, 8))
    losses = distillation_losses(states, -states, table, block=16)
    assert np.isfinite(losses).all() and (losses > 0).all()


def taught(golden, members, more):
    """A batch, and beside it the same targets behind `more` tokens first."""
    batch = batch_of(golden, members)
    first = np.broadcast_to(np.arange(3, 3 + more), (*batch.tokens.shape[:2], more))
    teacher = batch._replace(
        tokens=np.concatenate([first, batch.tokens], axis=2), target_positions=batch.target_positions + more
    )
    return batch._replace(teacher=teacher)


SLOW = [name for name in DIFFERENT if name != "gemma2"]


@pytest.mark.parametrize("name", ["gemma2", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
@pytest.mark.parametrize("axis", ["members", "rows"])
def test_a_members_loss_is_the_divergence_from_the_frozen_model_behind_the_teachers_row(name, axis):
    decoder, params, golden = load_case(name)
    batch = taught(golden, 2, 4)
    prompts = 0.3 * jax.random.normal(jax.random.key(0), (2, 3, decoder.config.embed_dim))

    def states(k, tokens, places, prompt):
        rows = jnp.concatenate(
            [jnp.broadcast_to(prompt, (len(tokens), *prompt.shape)), decoder.embed(params, tokens)], axis=1
        )
        logits = decoder.project(params, decoder.hidden(params, rows))
        return jnp.take_along_axis(logits, (places + len(prompt))[..., None], axis=1)

    def wanted(prompts):
        losses = []
        for k in range(2):
            ours = states(k, batch.tokens[k], batch.target_positions[k], prompts[k])
            theirs = states(k, batch.teacher.tokens[k], batch.teacher.target_positions[k], prompts[k][:0])
            ours, theirs = jax.nn.log_softmax(ours), jax.lax.stop_gradient(jax.nn.log_softmax(theirs))
            losses.append((jnp.exp(theirs) * (theirs - ours)).sum())
        return sum(losses), jnp.stack(losses)

    def ours(prompts):
        losses = member_losses(decoder, params, prompts, batch, axis=axis)[0]
        return losses.sum(), losses

    (_, losses), gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(prompts)
    (_, expected), expected_gradient = jax.jit(jax.value_and_grad(wanted, has_aux=True))(prompts)
    close(losses, expected, LOSS)
    close(gradient, expected_gradient, GRADIENT)


def test_a_teacher_of_other_room_for_targets_gives_the_same():
    decoder, params, golden = load_case("qwen3")
    batch = taught(golden, 1, 4)
    wide = {name: np.pad(getattr(batch.teacher, name), ((0, 0), (0, 0), (0, 2))) for name in batch.teacher._fields[1:4]}
    prompts = jnp.zeros((1, 0, decoder.config.embed_dim))
    losses = [
        member_losses(decoder, params, prompts, each)[0]
        for each in (batch, batch._replace(teacher=batch.teacher._replace(**wide)))
    ]
    close(*losses, LOSS)
