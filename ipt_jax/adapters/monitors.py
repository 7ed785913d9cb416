"""What a prompt looks like from outside: its size, how far it moved, the words near it, and whether it learns."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import FrozenLM
from ipt_jax.runtime import mesh

# Below these, relative to the start, a prompt counts as not moved and a loss as the one of the untuned prompt.
STILL, SAME_LOSS = 1e-5, 1e-4


def sizes(adapters: Any, start: Any) -> list[dict[str, float]]:
    """For each of K adapters, such as f32[K, P, E]: mean length of a row, and its mean distance from where it started.

    Rows are along the last axis of each array, all arrays' together.
    """
    # An adapter that is about to blow up still has a length.
    wide = [leaf.astype(np.float64) for leaf in jax.tree.leaves(adapters)]
    away = [now - before for now, before in zip(wide, jax.tree.leaves(start), strict=True)]
    norms, moved = (
        np.concatenate([np.linalg.norm(x, axis=-1).reshape(len(x), -1) for x in each], axis=-1).mean(axis=-1)
        for each in (wide, away)
    )
    return [{"prompt_norm": float(n), "prompt_moved": float(m)} for n, m in zip(norms, moved, strict=True)]


def complaint(rows: Sequence[Mapping[str, Any]], after: int) -> str | None:
    """Why a run seems not to learn, from its metrics, or None. Nothing is said before step `after`.

    Args:
      rows: of metrics.jsonl; those with a `dev_loss` are looked at, the first of which is the untuned prompt's.
    """
    measured = [row for row in rows if "dev_loss" in row and "prompt_moved" in row]
    if not measured or measured[0]["step"] != 0 or measured[-1]["step"] < max(after, 1):
        return None
    first, last = measured[0], measured[-1]
    if last["prompt_moved"] <= STILL * first["prompt_norm"]:
        return (
            f"after {last['step']} steps the prompt has not moved from its start (rows of length "
            f"{first['prompt_norm']:.3g} moved by {last['prompt_moved']:.1e}); raise config.training.learning_rate"
        )
    if abs(last["dev_loss"] - first["dev_loss"]) <= SAME_LOSS * abs(first["dev_loss"]):
        return (
            f"after {last['step']} steps the dev loss, {last['dev_loss']:.4f}, is still that of the untuned prompt; "
            "raise config.training.learning_rate or look at the targets"
        )
    return None


def summary(
    lm: FrozenLM, prompt: np.ndarray | None, rows: Sequence[Mapping[str, Any]], best_step: int, warn_after: int
) -> dict[str, Any]:
    """What a result says of its adapter: size and distance moved at `best_step`, the words near it, the complaint.

    Args:
      prompt: f32[P, E]; None where no rows were trained, which alone are near words.
    """
    kept = next((row for row in rows if row["step"] == best_step and "dev_loss" in row), {})
    return {
        "prompt_norm": kept.get("prompt_norm"),
        "prompt_moved": kept.get("prompt_moved"),
        "nearest_words": None if prompt is None else nearest_words(lm, prompt),
        "complaint": complaint(rows, warn_after),
    }


def nearest_words(lm: FrozenLM, prompt: np.ndarray, block: int = 8192) -> list[dict[str, Any]]:
    """For each row of f32[P, E] the vocabulary word whose embedding has the largest cosine with it.

    Args:
      block: words that are embedded at a time.

    Returns:
      `word` and `cosine` of each row.
    """
    ids = lm.tokenizer.ordinary_ids()
    block = min(block, len(ids))
    whole = np.resize(ids, -(-len(ids) // block) * block)  # the last block is filled up from the first: one shape
    best = np.full(len(prompt), -np.inf, np.float32)
    nearest = np.zeros(len(prompt), np.int64)
    for part in whole.reshape(-1, block):
        found = _nearest(lm.decoder, lm.params, np.asarray(prompt, np.float32), part)
        cosines, places = map(mesh.on_host, found)
        nearest = np.where(cosines > best, part[places], nearest)
        best = np.maximum(cosines, best)
    return [
        {"word": lm.tokenizer.decode([int(i)]), "cosine": float(cosine)}
        for i, cosine in zip(nearest, best, strict=True)
    ]


@functools.partial(jax.jit, static_argnums=0)
def _nearest(decoder: FrozenDecoder, params: Any, prompt: jax.Array, ids: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest cosine f32[P] of each row with the embeddings of i32[N] words, and its place among them."""
    words = decoder.embed(params, ids).astype(jnp.float32)
    cosines = jnp.einsum("pe,ne->pn", _unit(prompt), _unit(words), precision="highest")
    return cosines.max(axis=1), cosines.argmax(axis=1)


def _unit(rows: jax.Array) -> jax.Array:
    return rows / jnp.maximum(jnp.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
