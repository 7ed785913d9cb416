"""Run by `test_sharding` on eight simulated devices: prints whether they write the tokens of one.

python tests/decode_on_devices.py FOLDER_OF_A_LANGUAGE_MODEL BEAMS DATA,MODEL …
"""

import json
import sys

import jax
import numpy as np
from jax.sharding import AxisType
from tolerances import LOG_PROBABILITY, error_of

from ipt_jax.decoding import generation
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.settings import Search
from ipt_jax.models.loading import load
from ipt_jax.runtime.mesh import replicated

PROMPTS = np.random.default_rng(0).standard_normal((2, 3, 32)).astype(np.float32)
WORK = [(row % 2, np.random.default_rng(row).integers(1, 200, 3 + row).tolist()) for row in range(11)]


def written(folder, search, mesh):
    """For each row: the tokens and their log-probability."""
    lm = load(folder, mesh=mesh)
    prompts = jax.device_put(PROMPTS, None if mesh is None else replicated(mesh))
    requests = [Request(tokens, prompt, id=i) for i, (prompt, tokens) in enumerate(WORK)]
    rows = generation.generate(lm, prompts, requests, search, batch_size=8, devices=mesh)
    return lm.decoder.config.num_kv_heads, {request.id: answer for part in rows for request, answer in part}


def main():
    folder, search, results = sys.argv[1], Search(max_new_tokens=6, num_beams=int(sys.argv[2])), []
    _, alone = written(folder, search, None)
    for shape in (tuple(map(int, text.split(","))) for text in sys.argv[3:]):
        mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
        heads, together = written(folder, search, mesh)
        pairs = [(alone[i], together[i]) for i in alone]
        same = sum(one.tokens == other.tokens for one, other in pairs) / len(pairs)
        apart = max(
            error_of(other.log_probability, one.log_probability, least=LOG_PROBABILITY.least) for one, other in pairs
        )
        results.append({"mesh": shape, "kv_heads": heads, "rows": len(pairs), "same": same, "apart": apart})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
