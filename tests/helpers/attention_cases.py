"""The rules of attention with heads of three queries to a key."""

import jax
import jax.numpy as jnp
import numpy as np

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


def obvious(query, key, value, rule):
    """One query of one head at a time, in float64."""
    query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
    out = np.zeros_like(query)
    for b, t, n in np.ndindex(query.shape[:3]):
        first = 0 if rule.window is None else max(0, t + 1 - int(rule.window))
        group = n // (query.shape[2] // key.shape[2])
        scores = key[b, first : t + 1, group] @ query[b, t, n] * float(rule.scale)
        if rule.softcap is not None:
            scores = rule.softcap * np.tanh(scores / rule.softcap)
        if rule.slopes is not None:
            scores = scores - rule.slopes[n] * (t - np.arange(first, t + 1))
        weights = np.exp(scores - scores.max())
        out[b, t, n] = weights / weights.sum() @ value[b, first : t + 1, group]
    return out
