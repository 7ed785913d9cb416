"""`python -m ipt_jax.export`: a trained adapter as a file, or a folder of PEFT, that other programs read."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from ipt_jax import cli
from ipt_jax.errors import InputError

if TYPE_CHECKING:
    from ipt_jax.adapters.files import Prompt

_log = logging.getLogger(__name__)
_FLAGS = flags.FlagValues()
_PROMPT = flags.DEFINE_string(
    "prompt", None, "What was trained: a run folder, .safetensors, .npy or a PEFT folder.", flag_values=_FLAGS
)
_FORMAT = flags.DEFINE_enum(
    "format", None, ("peft", "safetensors", "npy", "merged"), "What to write.", flag_values=_FLAGS
)
_OUTPUT = flags.DEFINE_string("output", None, "File to write, or folder for peft.", flag_values=_FLAGS)
_BASE_MODEL = flags.DEFINE_string(
    "base_model",
    "",
    "Of peft and merged: the hub id or folder of the language model; default: that of the run.",
    flag_values=_FLAGS,
)


def main(argv: list[str]) -> None:
    from ipt_jax.adapters.trained import TrainedAdapter, load_adapter, save_adapter
    from ipt_jax.workdir.disk import make_folder

    adapter, output = load_adapter(_PROMPT.value), Path(_OUTPUT.value)
    if _FORMAT.value not in ("peft", "merged"):
        make_folder(output.parent)
    if _FORMAT.value == "merged":
        _write_merged(adapter, output)
    elif _FORMAT.value == "peft":
        _write_peft(adapter, output)
    elif not isinstance(adapter, TrainedAdapter):
        _write_prompt(adapter, output)
    elif _FORMAT.value == "npy":
        raise InputError(f"--format=npy: {_PROMPT.value} is no array, but {adapter.kind}; choose safetensors or peft")
    else:
        save_adapter(output, adapter, {"source": _PROMPT.value})
    print(f"{output}: {_described(adapter)} as {_FORMAT.value}")


def _write_merged(adapter: Any, output: Path) -> None:
    from ipt_jax.adapters.merging import write_merged
    from ipt_jax.adapters.trained import TrainedAdapter

    source = _BASE_MODEL.value or _source_of_run()
    if not isinstance(adapter, TrainedAdapter):
        raise InputError(f"--format=merged: {_PROMPT.value} is no LoRA of ours, which alone changes weights")
    if not source:
        raise InputError("--base_model must be given: the folder or hub id whose weights are changed")
    write_merged(adapter, source, output)


def _write_prompt(prompt: Any, output: Path) -> None:
    import numpy as np

    from ipt_jax.adapters.files import save_prompt
    from ipt_jax.workdir.json_files import write_bytes

    if not isinstance(prompt, np.ndarray):
        raise InputError(f"--format={_FORMAT.value}: {_PROMPT.value} is a folder of PEFT already; nothing to write")
    if _FORMAT.value == "npy":
        content = io.BytesIO()
        np.save(content, prompt, allow_pickle=False)
        write_bytes(output, content.getvalue())
    else:
        save_prompt(output, prompt, {"source": _PROMPT.value, **_model_of(prompt)})


def _write_peft(adapter: Any, output: Path) -> None:
    import numpy as np

    from ipt_jax.adapters import peft
    from ipt_jax.adapters.files import save_prompt
    from ipt_jax.adapters.peft_card import card
    from ipt_jax.adapters.trained import TrainedAdapter
    from ipt_jax.models import loading
    from ipt_jax.models.files.safetensors import tensors_as_bytes
    from ipt_jax.workdir.disk import make_folder, writing
    from ipt_jax.workdir.json_files import write_bytes, write_text

    source = _BASE_MODEL.value or _source_of_run()
    base = "" if source.startswith("pypi:") or source.endswith(".gguf") else source
    if not base:
        _log.warning("adapter_config.json names no language model that transformers loads; give --base_model")
    if isinstance(adapter, TrainedAdapter):
        if not source:
            raise InputError(f"--base_model must be given: {adapter.kind} is written by the names of the model's maps")
        settings, tensors = peft.written(adapter.arrays, adapter.kind, loading.outline(source))
        make_folder(output)
        with writing(output / peft.TENSORS):
            write_bytes(output / peft.TENSORS, tensors_as_bytes(tensors, {"format": "pt"}))
    elif isinstance(adapter, np.ndarray):
        settings = peft_config(adapter.shape, "")
        make_folder(output)
        save_prompt(output / peft.TENSORS, adapter, {"format": "pt", **_model_of(adapter)})
    else:
        raise InputError(f"--format=peft: {_PROMPT.value} is a folder of PEFT already; nothing to write")
    write_text(output / peft.CONFIG, json.dumps({**settings, "base_model_name_or_path": base}, indent=2))
    trained_on = f", trained on {adapter.model}" if adapter.model else ""
    said = f"{_described(adapter)[:1].upper()}{_described(adapter)[1:]}{trained_on}, by ipt_jax from `{_PROMPT.value}`."
    write_text(output / "README.md", card(getattr(adapter, "kind", "prompt"), base, said))


def _source_of_run() -> str:
    """What the run loaded its language model by; empty where there is no run."""
    from ipt_jax.workdir.json_files import read_json

    described = Path(_PROMPT.value) / "run.json"
    return str((read_json(described).get("model") or {}).get("source") or "") if described.is_file() else ""


def _described(adapter: Any) -> str:
    if hasattr(adapter, "kind"):
        return f"{adapter.kind} of {getattr(adapter, 'numbers', 0):,} numbers"
    return f"{adapter.shape[0]} rows of width {adapter.shape[1]}"


def _model_of(prompt: Prompt) -> dict[str, str]:
    """What says in a file which language model the prompt is for; nothing where it is not known."""
    known = {"model": prompt.model, "model_fingerprint": prompt.fingerprint}
    return known if prompt.fingerprint else {}


def peft_config(shape: tuple[int, int], base_model: str) -> dict[str, object]:
    """The `adapter_config.json` of Hugging Face PEFT's prompt tuning for a prompt f32[P, E]."""
    return {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "num_virtual_tokens": shape[0],
        "token_dim": shape[1],
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
    }


if __name__ == "__main__":
    cli.run(main, _FLAGS, required=("prompt", "format", "output"))
