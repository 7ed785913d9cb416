"""Adapters with random numbers, and weights that such a LoRA is merged into."""

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.models.changes import places


def random_lora(config, members, rank=3):
    draw = np.random.default_rng(1)
    found = {}
    for place, (wide, out) in places(config).items():
        found[f"{place}.down"] = draw.normal(0, wide**-0.5, (members, config.num_layers, wide, rank)).astype(np.float32)
        found[f"{place}.up"] = draw.normal(0, 0.3, (members, config.num_layers, rank, out)).astype(np.float32)
    return found


def merged(params, one):
    """The parameters with a member's products added to the kernels."""
    state = jax.tree.map(lambda x: x, params)
    for name in {name.split(".")[0] for name in one}:
        kernel = state["blocks"][name]["kernel"]
        delta = jnp.einsum("lir,lro->lio", one[f"{name}.down"], one[f"{name}.up"], precision="highest")
        kernel[...] = kernel[...] + delta
    return state
