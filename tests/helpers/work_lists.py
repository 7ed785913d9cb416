"""Lists of rows to be decoded, and their answers as they come."""

import jax.numpy as jnp
import numpy as np
from decoding_oracle import LMS, PROMPTS, requests_of

from ipt_jax.decoding import generation

LM = LMS["gpt2"]


def stream(work, search, batch_size=4, **settings):
    """The lists of (index, generation) as they come."""
    requests = requests_of(work)
    for finished in generation.generate(LM, jnp.asarray(PROMPTS), requests, search, batch_size=batch_size, **settings):
        yield [(request.id, generated) for request, generated in finished]


def collect(batches, count):
    rows = [None] * count
    for finished in batches:
        for index, generated in finished:
            assert rows[index] is None
            rows[index] = generated
    return rows


def random_work(count, longest=30):
    random = np.random.default_rng(0)
    return [(i % 2, random.integers(1, 200, n).tolist()) for i, n in enumerate(random.integers(1, longest, count))]
