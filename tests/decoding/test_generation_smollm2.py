"""SmolLM2 on twenty real DART inputs with a demonstration each, against transformers in float32.

Slow:  python -m pytest -m slow tests/test_generation_smollm2.py  (two minutes on two cores). How far bfloat16 agrees
with float32 is no matter of right and wrong:  python -m benchmarks.bfloat16
"""

import jax.numpy as jnp
import numpy as np
import one_batch
import pytest
from paths import GOLDEN
from search_settings import DART_NEW_TOKENS, DART_SEARCHES
from smollm2 import load_smollm2
from tolerances import SMOLLM2_SCORE, close

from ipt_jax.decoding import stopping
from ipt_jax.decoding.settings import Search

ANSWERS = GOLDEN / "smollm2_dart.npz"


@pytest.fixture(scope="module")
def lm():
    return load_smollm2(dtype="float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", DART_SEARCHES)
def test_real_inputs_in_one_padded_batch_get_transformers_tokens_and_scores_of_each_alone(lm, name):
    with np.load(ANSWERS) as file:
        golden = dict(file)
    stops = np.zeros(lm.decoder.config.vocab_size, np.int32)
    stops[golden["eos"]] = stopping.EOS
    ours = one_batch.decode(
        lm.decoder,
        lm.params,
        jnp.zeros((1, 0, lm.decoder.config.embed_dim)),
        jnp.zeros(len(golden["tokens"]), jnp.int32),
        golden["tokens"].astype(np.int32),
        golden["lengths"],
        stops,
        None,
        Search(max_new_tokens=DART_NEW_TOKENS, **DART_SEARCHES[name]),
        end_tokens=len(golden["eos"]),
    )
    assert np.asarray(ours.tokens).tolist() == golden[name].tolist()
    close(ours.score, golden[f"{name}_scores"], SMOLLM2_SCORE)
