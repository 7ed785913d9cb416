"""`python -m ipt_jax.export`: a trained prompt as a file that other programs read."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ipt_jax import cli

if TYPE_CHECKING:
    from ipt_jax.adapters.files import Prompt

_FLAGS = flags.FlagValues()
_PROMPT = flags.DEFINE_string("prompt", None, "Run folder, .safetensors, .npy or PEFT folder.", flag_values=_FLAGS)
_FORMAT = flags.DEFINE_enum("format", None, ("peft", "safetensors", "npy"), "What to write.", flag_values=_FLAGS)
_OUTPUT = flags.DEFINE_string("output", None, "File to write, or folder for peft.", flag_values=_FLAGS)
_BASE_MODEL = flags.DEFINE_string(
    "base_model",
    "",
    "peft only: the hub id or folder of the language model, for adapter_config.json.",
    flag_values=_FLAGS,
)


def main(argv: list[str]) -> None:
    import numpy as np

    from ipt_jax.adapters.files import load_prompt, save_prompt
    from ipt_jax.workdir.disk import make_folder
    from ipt_jax.workdir.json_files import write_bytes, write_text

    prompt, output = load_prompt(_PROMPT.value), Path(_OUTPUT.value)
    make_folder(output if _FORMAT.value == "peft" else output.parent)
    if _FORMAT.value == "npy":
        content = io.BytesIO()
        np.save(content, prompt, allow_pickle=False)
        write_bytes(output, content.getvalue())
    elif _FORMAT.value == "safetensors":
        save_prompt(output, prompt, {"source": _PROMPT.value, **_model_of(prompt)})
    else:
        save_prompt(output / "adapter_model.safetensors", prompt, {"format": "pt", **_model_of(prompt)})
        write_text(output / "adapter_config.json", json.dumps(peft_config(prompt.shape, _BASE_MODEL.value), indent=2))
    print(f"{output}: {prompt.shape[0]} rows of width {prompt.shape[1]} as {_FORMAT.value}")


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
