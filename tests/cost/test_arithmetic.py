"""FLOP counted by hand, by the compiler, and from rows as a run has them."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny import hf_config, tiny_lm

from ipt_jax.cost.arithmetic import Learned, block_flop, decoding_flop, prefill_flop, row_flop, training_flop
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.rows.batching import Batch
from ipt_jax.rows.layout import Row
from ipt_jax.training.losses import member_losses

# 2 layers of width 32, 4 heads of 8 of which 2 have keys of their own, a gated network of 48, and 265 words.
CONFIG = tiny_lm("llama").decoder.config
KEYS_VALUES, REST = 2 * 32 * 2 * 16, 2 * (2 * 32 * 32 + 3 * 32 * 48)
HEAD, PAIR = 2 * 32 * CONFIG.vocab_size, 4 * 32


def row(tokens, source_length):
    return Row("", tuple(tokens), source_length, (), 0, False)


def test_a_token_takes_twice_as_many_flop_as_its_layers_have_weights():
    lm = tiny_lm("llama")
    kernels = [leaf for path, leaf in nnx.to_flat_state(lm.params) if path[0] == "blocks" and path[-1] == "kernel"]
    assert block_flop(CONFIG) == 2 * sum(leaf.size for leaf in jax.tree.leaves(kernels)) == 2 * (KEYS_VALUES + REST)


def test_a_row_is_counted_as_by_hand():
    # Ten positions pass the first layer; in the last one ten have keys and values and three go on to the vocabulary.
    weights = 10 * (KEYS_VALUES + REST) + 10 * KEYS_VALUES + 3 * (REST + HEAD)
    scores = PAIR * (10 * 11 / 2 + 3 * 10)
    assert row_flop(CONFIG, 10, 3) == weights + scores
    assert row_flop(CONFIG, 10, 3, gradient=True) == 2 * weights + 3 * scores
    # A decode step sees what is in the cache and itself, in both layers.
    assert row_flop(CONFIG, 1, 1, before=10) == block_flop(CONFIG) + HEAD + PAIR * 2 * 11


def test_rows_are_counted_as_one_or_as_an_array():
    each = [row_flop(CONFIG, n, 2, before=3) for n in (4, 9)]
    assert row_flop(CONFIG, np.array([4, 9]), 2, before=3).tolist() == each


@pytest.mark.parametrize(
    ("family", "leaves"),
    [
        ("gpt2", {"n_embd": 256, "n_head": 8, "vocab_size": 4096}),
        ("llama", {"hidden_size": 256, "intermediate_size": 700, "vocab_size": 4096}),
    ],
)
@pytest.mark.parametrize("gradient", [False, True])
def test_the_compiler_counts_the_loss_and_its_gradient_alike(family, leaves, gradient):
    config = HF_FAMILIES[family].config_from_hf(hf_config(family, **leaves))
    decoder, shapes = FrozenDecoder.abstract(config, jnp.float32)
    prompt_rows, length, targets = 8, 56, 32

    def array(*dims, dtype=jnp.int32):
        return jax.ShapeDtypeStruct((1, *dims), dtype)

    batch = Batch(array(1, length), *[array(1, targets)] * 2, array(1, targets, dtype=jnp.float32))

    def loss(prompts, params, batch):
        return member_losses(decoder, params, prompts, batch)[0].sum()

    function = jax.value_and_grad(loss) if gradient else loss
    lowered = jax.jit(function).lower(array(prompt_rows, config.embed_dim, dtype=jnp.float32), shapes, batch)
    counted = row_flop(config, prompt_rows + length, targets, gradient=gradient)
    assert counted < lowered.cost_analysis()["flops"] < 1.05 * counted  # which adds what is elementwise


def test_training_counts_each_row_as_often_as_it_is_drawn_and_every_dev_loss():
    rows = [row(range(n), n - 2) for n in (5, 6, 9)]
    training = types.SimpleNamespace(steps=3, batch_size=2, group_by_length=True, eval_every=2)
    learned = sum(2 * row_flop(CONFIG, n, 2, before=4, gradient=True) for n in (5, 6, 9))  # 3 steps of 2: two epochs
    learned += 3 * row_flop(CONFIG, 4, 0, gradient=True)  # the prompt, once a step
    measured = 3 * (row_flop(CONFIG, 7, 3, before=4) + row_flop(CONFIG, 4, 0))  # at steps 0, 2 and 3
    dev = [row(range(7), 4)]
    assert training_flop(CONFIG, training, 4, Learned(rows, dev), seed=0) == pytest.approx(learned + measured)


def test_what_all_rows_begin_with_is_counted_once_a_step():
    rows, dev = ([row((*range(20), 100 + i, 7, 8), 21) for i in range(count)] for count in (4, 2))
    training = types.SimpleNamespace(steps=2, batch_size=2, group_by_length=True, eval_every=2)
    learned = 4 * row_flop(CONFIG, 3, 2, before=4 + 20, gradient=True) + 2 * row_flop(CONFIG, 24, 0, gradient=True)
    measured = 2 * (2 * row_flop(CONFIG, 3, 2, before=24) + row_flop(CONFIG, 24, 0))
    assert training_flop(CONFIG, training, 4, Learned(rows, dev), seed=0) == pytest.approx(learned + measured)


def test_a_soft_prompt_that_many_rows_share_is_run_once():
    few, many = ([(1000 + i, 5, 6) for i in range(count)] for count in (3, 500))
    assert prefill_flop(CONFIG, 10, few) == 3 * row_flop(CONFIG, 13, 1)
    shared = row_flop(CONFIG, 10, 0) + 500 * row_flop(CONFIG, 3, 1, before=10)
    assert prefill_flop(CONFIG, 10, many) == shared


def test_the_first_token_comes_from_the_prefill_and_the_last_one_is_not_run():
    assert decoding_flop(CONFIG, 10, [7, 7], [1, 0]) == 0
    steps = sum(row_flop(CONFIG, 1, 1, before=17 + t) for t in range(3))
    assert decoding_flop(CONFIG, 10, [7], [4]) == steps
    assert decoding_flop(CONFIG, 10, [7, 7], [4, 1], beams=5) == 5 * steps


def test_positions_whose_keys_and_values_are_known_are_seen_and_not_run():
    rows, dev = ([row((*range(20), 100 + i, 7, 8), 21) for i in range(count)] for count in (4, 2))
    training = types.SimpleNamespace(steps=2, batch_size=2, group_by_length=True, eval_every=2)
    run, known = (training_flop(CONFIG, training, 4, Learned(rows, dev), seed=0, known=each) for each in (False, True))
    saved = 2 * row_flop(CONFIG, 4, 0, gradient=True) + 2 * row_flop(CONFIG, 4, 0)
    assert run - known == pytest.approx(saved)
    sources = [(1000 + i, 5, 6) for i in range(3)]
    run, known = (prefill_flop(CONFIG, 10, sources, known=each) for each in (False, True))
    assert run - known == pytest.approx(3 * row_flop(CONFIG, 10, 0))


def test_a_teacher_runs_every_row_that_is_learned_without_a_gradient():
    rows, dev = ([row((1, 100 + i, 7, 8), 2) for i in range(count)] for count in (4, 2))
    taught = ([row((5, 6, 1, 100 + i, 7, 8), 4) for i in range(count)] for count in (4, 2))
    training = types.SimpleNamespace(steps=2, batch_size=2, group_by_length=True, eval_every=2)
    alone = training_flop(CONFIG, training, 4, Learned(rows, dev), seed=0)
    with_teacher = training_flop(CONFIG, training, 4, Learned(rows, dev, *taught), seed=0)
    assert with_teacher - alone == pytest.approx((4 + 2 * 2) * row_flop(CONFIG, 6, 2))
