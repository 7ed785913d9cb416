"""What adapters inject, against the long way: rows for a prefix that is theirs, merged weights for LoRA."""

import jax
import numpy as np
import pytest
from adapter_samples import random_lora
from model_cases import load_case
from tolerances import LOSS, close
from training_batches import batch_of

from ipt_jax.adapters import lora, prefix
from ipt_jax.training.losses import member_losses


@pytest.mark.parametrize("kind", ["prefix", "lora"])
def test_a_member_has_the_same_loss_alone_as_among_others(kind):
    decoder, params, golden = load_case("qwen3")
    batch, c = batch_of(golden, members=3), decoder.config
    if kind == "lora":
        folded, inject = random_lora(c, 3), lora.inject
    else:
        shape = (3, c.num_layers, 4, c.num_kv_heads, c.head_dim)
        folded = {name: np.random.default_rng(i).normal(size=shape) for i, name in enumerate(("keys", "values"))}
        folded, inject = jax.tree.map(np.float32, folded), prefix.inject
    together = member_losses(decoder, params, inject(folded), batch)[0]
    assert len(set(np.asarray(together).tolist())) == 3
    for k in range(3):
        own, alone = (jax.tree.map(lambda x, k=k: x[k : k + 1], tree) for tree in (folded, batch))
        close(member_losses(decoder, params, inject(own), alone)[0], together[k : k + 1], LOSS)
