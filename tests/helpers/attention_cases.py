"""The rules of attention with heads of three queries to a key."""

import jax
import jax.numpy as jnp

from ipt_jax.models.attention.rule import ScoreRule, alibi_slopes

HEADS, GROUPS, WIDTH, LENGTH = 6, 2, 8, 11
RULES = {
    "plain": ScoreRule(WIDTH**-0.5),
    "other scale": ScoreRule(0.1),
    "scale of a scanned layer": ScoreRule(jnp.float32(0.1)),
    "alibi": ScoreRule(WIDTH**-0.5, slopes=alibi_slopes(HEADS)),
    "window": ScoreRule(WIDTH**-0.5, window=4),
    "window of a scanned layer": ScoreRule(WIDTH**-0.5, window=jnp.int32(4)),
    "softcap and window": ScoreRule(WIDTH**-0.5, softcap=1.5, window=4),
}


def random_heads(seed, *shape):
    return jax.random.normal(jax.random.key(seed), (*shape, WIDTH))
