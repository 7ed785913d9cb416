"""The memory estimate against the compiler's own account, and populations that are split by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import hf_config

from ipt_jax.adapters.soft_prompt import SoftPrompts
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.rows.batching import Batch
from ipt_jax.runtime import device_memory
from ipt_jax.training import memory
from ipt_jax.training.losses import members_at_once
from ipt_jax.training.recipe import Recipe
from ipt_jax.training.step import Trainer

FACTOR = 1.35  # how far the estimate may be from what the compiler says, both ways
# family, leaves of its config, members, rows, tokens, targets, prompt rows: what dominates is products, scores, logits
CASES = {
    "products": ("gpt2", {"n_embd": 256, "n_head": 8, "n_layer": 6, "vocab_size": 4096}, 3, 4, 128, 32, 20),
    "scores": (
        "llama",
        {"hidden_size": 128, "num_hidden_layers": 2, "max_position_embeddings": 2048},
        1,
        4,
        768,
        32,
        8,
    ),
    "logits": ("llama", {"hidden_size": 128, "num_hidden_layers": 2, "vocab_size": 50_000}, 1, 8, 64, 64, 20),
}


def compiled_bytes(decoder, lm_shapes, members, rows, tokens, targets, prompt_rows, policy):
    """Arguments and temporaries of a whole training step, as the compiler lays them out; nothing is run."""
    start = np.zeros((members, prompt_rows, decoder.config.embed_dim), np.float32)
    prompts, params = SoftPrompts.create(start, reparameterisation="none", hidden=1, member_seeds=list(range(members)))
    trainer = Trainer(decoder, prompts, Recipe(10, 1), policy)

    def shape(*dims, dtype=jnp.int32):
        return jax.ShapeDtypeStruct(dims, dtype)

    batch = Batch(
        shape(members, rows, tokens),
        *[shape(members, rows, targets)] * 2,
        shape(members, rows, targets, dtype=jnp.float32),
    )
    state = jax.eval_shape(trainer.init, params)
    lowered = Trainer.step.lower(trainer, state, lm_shapes, shape(members, dtype=jnp.float32), batch)
    analysis = lowered.compile().memory_analysis()
    return analysis.argument_size_in_bytes + analysis.temp_size_in_bytes


@pytest.mark.parametrize(
    ("case", "policy"),
    [
        *((case, "dots") for case in CASES),
        *(pytest.param("products", policy, marks=pytest.mark.slow) for policy in ("block", "none")),
    ],
)
def test_the_estimate_is_near_what_the_compiler_lays_out(case, policy):
    family, leaves, members, rows, tokens, targets, prompt_rows = CASES[case]
    config = HF_FAMILIES[family].config_from_hf(hf_config(family, **leaves))
    decoder, shapes = FrozenDecoder.abstract(config, jnp.float32)
    estimate = memory.training_step(
        config,
        memory.StepShape(
            members, rows, tokens, targets, prompt_rows, members_at_once(members, rows * tokens + prompt_rows)
        ),
        memory.ModelBytes(sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes)), itemsize=4),
        adapter_bytes=4 * prompt_rows * config.embed_dim,
        rematerialisation=policy,
    )
    said = compiled_bytes(decoder, shapes, members, rows, tokens, targets, prompt_rows, policy)
    assert 1 / FACTOR < estimate.total / said < FACTOR


def test_what_is_recomputed_or_fused_is_not_held():
    config = HF_FAMILIES["llama"].config_from_hf(hf_config("llama"))
    shape = memory.StepShape(members=1, rows=8, length=256, targets=32, prompt_rows=8, at_once=1)
    size = {"model": memory.ModelBytes(weights=0, itemsize=2), "adapter_bytes": 10}
    none, dots, block = (
        memory.training_step(config, shape, **size, rematerialisation=policy) for policy in ("none", "dots", "block")
    )
    assert none.saved > dots.saved > block.saved and block.working > dots.working
    assert memory.training_step(config, shape, **size, fused_attention=True).working < dots.working


@pytest.mark.parametrize(
    ("wanted", "budget", "multiple", "size"),
    [
        (10, 1000, 1, 10),  # all fit
        (10, 145, 1, 4),  # at most 4 fit: 4, 4, 2
        (10, 175, 1, 5),  # at most 7 fit: 5, 5
        (10, 1, 1, 1),  # not even one: it is tried
        (32, 145, 8, 32),  # four on each of eight devices
        (64, 145, 8, 32),
        (24, 115, 8, 8),
    ],
)
def test_a_population_is_split_into_nearly_equal_parts_that_fit(wanted, budget, multiple, size):
    def estimate(count):
        return memory.Estimate(weights=100, state=count, saved=6 * count, working=3 * count)

    assert memory.population_size(wanted, estimate, budget, multiple) == size


def test_the_budget_is_what_is_given_or_a_share_of_what_the_machine_has():
    assert device_memory.device_budget(2.5) == 2_500_000_000
    assert 2**28 < device_memory.device_budget() * jax.local_device_count() < 2**50
