"""Batches of random rows for a golden checkpoint."""

import numpy as np

from ipt_jax.rows.batching import Batch


def batch_of(golden, members=1):
    """Each row's last three tokens are learned."""
    tokens, lengths = golden["tokens"], golden["lengths"]
    places = lengths[:, None] - np.array([4, 3, 2])
    targets = np.take_along_axis(tokens, places + 1, axis=1)
    arrays = tokens, places, targets, np.ones(targets.shape, np.float32)
    return Batch(*(np.stack([array] * members) for array in arrays))


def batch_with(shared, decoder, members):
    """Random rows that begin with `shared` tokens in common."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(0, decoder.config.vocab_size, (members, 4, 7))
    tokens[..., :shared] = tokens[:, :1, :shared]
    positions = np.broadcast_to(np.arange(2, 6), (members, 4, 4)) - shared
    weights = draw.integers(0, 2, positions.shape).astype(np.float32)
    return Batch(tokens[..., shared:], positions, tokens[..., 3:], weights, tokens[..., :shared] if shared else None)
