"""Run by `test_sharding` on eight simulated devices: prints how far their answers are from those of one.

python tests/eight_devices.py CASE DATA,MODEL …
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from model_cases import embed_after, load_case
from paths import GOLDEN
from tolerances import error_of

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.files.hf_folder import WeightsFolder
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.models.sharding import sharding, spread_heads
from ipt_jax.models.weights import fill, places, with_repeated_heads


def load_onto(case, mesh):
    """Decoder and parameters of a golden checkpoint, read straight into their places on the mesh, as `load` does."""
    config, family = load_case(case)[0].config, HF_FAMILIES[model_type_of(case)]
    own = spread_heads(config, mesh.shape["model"])
    decoder, shapes = FrozenDecoder.abstract(own, jnp.float32, parts=mesh.shape["model"])
    layouts = {place: sharding(own, mesh, place, leaf.shape) for place, leaf in places(shapes).items()}
    source = WeightsFolder(GOLDEN / case, family.HF_PREFIX)
    table = with_repeated_heads(family.hf_weights(config), config, own.num_kv_heads // config.num_kv_heads)
    return decoder, fill(decoder, shapes, table, family.hf_ignored(config), source, layouts)


def model_type_of(case):
    return json.loads((GOLDEN / case / "config.json").read_text())["model_type"]


def answers(decoder, params, rows, prompt):
    """f32[B, P + T, V] logits and f32[P, E] gradient of a sum that every logit has a part in."""
    weights = np.random.default_rng(0).standard_normal((rows.shape[0], 1, decoder.config.vocab_size))

    @jax.jit
    def loss(prompt, params, rows):
        embedded = embed_after(prompt, decoder.embed(params, rows))
        logits = decoder.project(params, decoder.hidden(params, embedded))
        return jnp.mean(logits * jnp.broadcast_to(weights, logits.shape)), logits

    (_, logits), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(prompt, params, rows)
    return np.asarray(logits), np.asarray(gradient)


def main():
    case, results = sys.argv[1], []
    decoder, params, golden = load_case(case)
    rows, prompt = np.tile(golden["tokens"], (3, 1))[:8], golden["prompt"]
    whole = answers(decoder, params, rows, prompt)
    for shape in (tuple(map(int, text.split(","))) for text in sys.argv[2:]):
        mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
        own, spread = load_onto(case, mesh)
        cut = sum(leaf.sharding.shard_shape(leaf.shape) != leaf.shape for leaf in jax.tree.leaves(spread))
        ours = answers(
            own,
            spread,
            jax.device_put(rows, NamedSharding(mesh, PartitionSpec("data"))),
            jax.device_put(prompt, NamedSharding(mesh, PartitionSpec())),
        )
        errors = [error_of(a, b) for a, b in zip(ours, whole, strict=True)]
        results.append({"mesh": shape, "cut": cut, "errors": errors, "kv_heads": own.config.num_kv_heads})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
