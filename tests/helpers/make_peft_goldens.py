"""Makes the folders in `tests/golden/peft`: adapters as PEFT saves them, with the logits that PEFT's model gives.

Needs torch, transformers and peft; the tests only read what it wrote. From the repository's root:

    PYTHONPATH=. python tests/helpers/make_peft_goldens.py
"""

from __future__ import annotations

import shutil

import numpy as np
import peft
import torch
import transformers
from paths import GOLDEN

FAMILIES = ("gpt2_tied", "opt", "bloom", "llama_tied_grouped", "qwen2", "gemma2")
ROWS, LENGTH, POSITIONS = 2, 6, 4


def configs(family: str) -> dict[str, peft.PeftConfig]:
    """Kind → an adapter of random numbers."""
    prompt = {"task_type": "CAUSAL_LM", "num_virtual_tokens": POSITIONS}
    maps = {"task_type": "CAUSAL_LM", "target_modules": "all-linear", "init_lora_weights": False}
    found = {
        "prefix": peft.PrefixTuningConfig(**prompt),
        "lora": peft.LoraConfig(**maps, r=3, lora_alpha=5, use_rslora=family == "opt"),
    }
    if family == "qwen2":
        found["projected"] = peft.PrefixTuningConfig(**prompt, prefix_projection=True, encoder_hidden_size=8)
        found["prompt"] = peft.PromptTuningConfig(**prompt)
        found["p_tuning"] = peft.PromptEncoderConfig(**prompt, encoder_hidden_size=8)
        some = {**maps, "target_modules": ["q_proj", "down_proj"], "layers_to_transform": [1]}
        found["one_layer"] = peft.LoraConfig(**some, r=2, lora_alpha=2)
    return found


def base_model(family: str) -> transformers.PreTrainedModel:
    path = GOLDEN / family
    return transformers.AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()


def logits_of(model: torch.nn.Module, tokens: np.ndarray) -> np.ndarray:
    """f32[B, T, V] behind whatever stands before the tokens i64[B, T]."""
    with torch.no_grad():
        given = torch.tensor(tokens)
        return model(input_ids=given, attention_mask=torch.ones_like(given)).logits[:, -tokens.shape[1] :].numpy()


def main() -> None:
    shutil.rmtree(GOLDEN / "peft", ignore_errors=True)
    for family in FAMILIES:
        tokens = np.random.default_rng(0).integers(1, 90, (ROWS, LENGTH))
        for kind, config in configs(family).items():
            torch.manual_seed(0)
            model = peft.get_peft_model(base_model(family), config).eval()
            folder = GOLDEN / "peft" / f"{family}-{kind}"
            model.peft_config["default"].base_model_name_or_path = family  # and no path of this machine
            model.save_pretrained(folder)
            (folder / "README.md").unlink()
            np.savez(folder / "answers.npz", tokens=tokens, logits=logits_of(model, tokens))


if __name__ == "__main__":
    main()
