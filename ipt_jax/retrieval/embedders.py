"""Texts → vectors for dense retrieval: the frozen model's own states, or a sentence encoder's; kept on disk."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.retrieval.cache import digest, kept
from ipt_jax.runtime import compiling, mesh, processes
from ipt_jax.runtime.log import Progress
from ipt_jax.runtime.shapes import bucket

_TOKENS_PER_BATCH = 4096
_TEXTS_PER_FILE = 2048
_SENTENCES_PER_CALL = 256
_COMPILE = 4  # seconds for SmolLM2 on two cores of an AMD EPYC; layers are scanned, so depth hardly matters
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class MeanHiddenStates:
    """Texts → the mean of the frozen model's last hidden states over their tokens.

    Where the model expects a BOS, one is put before the text; its own state, the same for every text, does not count.
    Vectors are kept on disk under a hash of the model, its type and the texts, so a second experiment on the
    same data reads them back, and a first one that was killed goes on after the last 2,048 texts it finished.

    Attributes:
      fingerprint: identifies the model's weights and their type.
      cache_dir: where vectors are kept.
    """

    decoder: FrozenDecoder
    params: Any
    tokenizer: Any
    fingerprint: str
    cache_dir: Path

    @property
    def key(self) -> str:
        bos = "" if self.tokenizer.bos_id is None else ":after_bos"
        return f"mean_hidden_states:{self.fingerprint}{bos}"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """f32[len(texts), E]. A text beyond the model's positions is represented by its beginning (logged)."""
        return _embed_in_parts(texts, self.key, self.cache_dir, self._compute)

    def _compute(self, texts: Sequence[str], advance: Callable[[int], Any]) -> np.ndarray:
        positions, spread = self.decoder.config.max_positions, mesh.rows_beside(self.params)
        share = 1 if spread is None else spread.mesh.shape["data"]
        bos = [] if self.tokenizer.bos_id is None else [self.tokenizer.bos_id]
        tokens = [bos + (self.tokenizer.encode(text) or [0]) for text in texts]
        too_long = sum(len(ids) > positions for ids in tokens)
        if too_long:
            _log.warning("%d of %d texts exceed %d positions; their beginning counts", too_long, len(texts), positions)
        tokens = [ids[:positions] for ids in tokens]
        vectors = np.empty((len(texts), self.decoder.config.embed_dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        while order:
            width = min(bucket(len(tokens[order[-1]]), smallest=16), positions)
            rows = max(1, _TOKENS_PER_BATCH // width) * share
            batch, order = order[-rows:], order[:-rows]  # the longest first: the slowest shape shows in the ETA
            ids, lengths = np.zeros((rows, width), np.int32), np.full(rows, len(bos) + 1, np.int32)
            for row, i in enumerate(batch):
                ids[row, : len(tokens[i])], lengths[row] = tokens[i], len(tokens[i])
            ids, lengths = mesh.put((ids, lengths), spread)
            compiling.expect(f"the mean state of texts of {width} tokens", _COMPILE, (self.decoder, rows, width))
            means = mean_hidden(self.decoder, self.params, ids, lengths, skip=len(bos))
            vectors[batch] = mesh.on_host(means)[: len(batch)]
            advance(len(batch))
        return vectors


@functools.partial(jax.jit, static_argnames=("decoder", "skip"))
def mean_hidden(
    decoder: FrozenDecoder, params: Any, tokens: jax.Array, lengths: jax.Array, *, skip: int = 0
) -> jax.Array:
    """i32[B, T], i32[B] → f32[B, E], the mean of the normalised last states of a row's tokens but its first `skip`."""
    hidden = decoder.normalise(params, decoder.hidden(params, decoder.embed(params, tokens)))
    places = jnp.arange(tokens.shape[1])[None, :]
    real = ((places >= skip) & (places < lengths[:, None]))[..., None]
    return jnp.where(real, hidden.astype(jnp.float32), 0.0).sum(axis=1) / (lengths[:, None] - skip)


@dataclasses.dataclass(frozen=True)
class SentenceEncoder:
    """Texts → the vectors of a sentence-transformers model, kept on disk like those of `MeanHiddenStates`.

    The weights must be safetensors, and no code that lies beside them is run. Needs the extra
    `ipt_jax[sentence-transformers]`, but not where all vectors are already kept.

    Attributes:
      folder: a model as sentence-transformers saves it.
      cache_dir: where vectors are kept.
    """

    folder: Path
    cache_dir: Path

    def __post_init__(self):
        if not (Path(self.folder) / "modules.json").is_file():
            raise InputError(
                f"config.layout.encoder={str(self.folder)!r} is not the folder of a sentence-transformers model: it "
                "has no modules.json; save one with SentenceTransformer(NAME).save(FOLDER)"
            )

    @functools.cached_property
    def key(self) -> str:
        """Identifies the model by the content of all its files, whatever its path."""
        content = hashlib.sha256()
        for path in sorted(path for path in Path(self.folder).rglob("*") if path.is_file()):
            with path.open("rb") as file:
                sha = hashlib.file_digest(file, "sha256").hexdigest()
            content.update(f"{path.relative_to(self.folder).as_posix()}\0{sha}\n".encode())
        return f"sentence_transformer:{content.hexdigest()}"

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """f32[len(texts), E]. Raises InputError where sentence-transformers is not installed."""
        return _embed_in_parts(texts, self.key, self.cache_dir, self._compute)

    @functools.cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer  # An extra, and torch with it.
        except ImportError as error:
            raise InputError(
                "config.layout.retriever='sentence_transformer' needs a package that is not installed; "
                "run: pip install 'ipt_jax[sentence-transformers]'"
            ) from error
        return SentenceTransformer(
            str(self.folder),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )

    def _compute(self, texts: Sequence[str], advance: Callable[[int], Any]) -> np.ndarray:
        parts = []
        for start in range(0, len(texts), _SENTENCES_PER_CALL):
            part = list(texts[start : start + _SENTENCES_PER_CALL])
            parts.append(np.asarray(self._model.encode(part, show_progress_bar=False), np.float32))
            advance(len(part))
        return np.concatenate(parts)


def _embed_in_parts(
    texts: Sequence[str],
    key: str,
    cache_dir: Path,
    compute: Callable[[Sequence[str], Callable[[int], Any]], np.ndarray],
) -> np.ndarray:
    """f32[len(texts), E], computed and kept 2,048 texts at a time.

    Args:
      compute: (texts, advance) → f32[len(texts), E]; calls advance(n) when n more of them are done.
    """
    parts = [texts[start : start + _TEXTS_PER_FILE] for start in range(0, len(texts), _TEXTS_PER_FILE)]
    paths = [Path(cache_dir) / f"{digest([key], part)}.npz" for part in parts]
    vectors = []
    missing = [part for part, path in zip(parts, paths, strict=True) if not path.is_file()]
    quiet = not missing or not processes.is_first()
    with Progress(total=sum(map(len, missing)), desc="embedding inputs", unit="text", disable=quiet) as progress:
        for part, path in zip(parts, paths, strict=True):
            arrays = kept(path, lambda part=part: {"vectors": compute(part, progress.update)})
            vectors.append(arrays["vectors"])
    return np.concatenate(vectors)
