"""The golden checkpoints of each family, and what a decoder makes of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from paths import GOLDEN

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.files.hf_folder import WeightsFolder, read_json
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.models.weights import fill

CASES = sorted(path.parent.name for path in GOLDEN.glob("*/answers.npz"))
# Ways in which families differ: ALiBi, a window in some layers with softcaps of scores and logits, a norm after the
# residual with a projection around the blocks, parallel residuals. The others are slow proofs.
DIFFERENT = ["bloom", "gemma2", "opt_post_norm_projected", "gpt_neox"]


@functools.cache
def load_case(name):
    """Decoder, parameters and golden answers of a checkpoint (see `make_goldens.answers`)."""
    folder = GOLDEN / name
    hf = read_json(folder / "config.json")
    family = HF_FAMILIES[hf["model_type"]]
    config = family.config_from_hf(hf)
    decoder, shapes = FrozenDecoder.abstract(config, jnp.float32)
    source = WeightsFolder(folder, family.HF_PREFIX)
    params = fill(decoder, shapes, family.hf_weights(config), family.hf_ignored(config), source)
    with np.load(folder / "answers.npz") as answers:
        return decoder, params, dict(answers)


@functools.partial(jax.jit, static_argnums=0)
def embeddings_of(decoder, params, tokens):
    return decoder.embed(params, tokens)


def embed_after(prompt, embeddings):
    """f32[P, E], [B, T, E] → [B, P + T, E]."""
    library = jnp if isinstance(prompt, jax.Array) else np  # NumPy compiles nothing
    rows = library.broadcast_to(prompt, (embeddings.shape[0], *prompt.shape))
    return library.concatenate([rows, embeddings], axis=1)
