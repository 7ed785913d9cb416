"""Exported adapters: read back to the bit, and known to be their model's."""

import json

import pytest
from commands import call
from prompt_files import PROMPT, predict

from ipt_jax.adapters.files import load_prompt, save_prompt


@pytest.mark.parametrize(("format", "name"), [("npy", "p.npy"), ("safetensors", "p.safetensors"), ("peft", "adapter")])
def test_an_exported_prompt_is_read_back_bit_for_bit(prompt_files, tmp_path, format, name):
    done = call(
        "ipt_jax.export", f"--prompt={prompt_files / 'prompt.npy'}", f"--format={format}", f"--output={tmp_path / name}"
    )
    assert done.returncode == 0, done.stderr
    assert load_prompt(tmp_path / name).tobytes() == PROMPT.tobytes()
    if format == "peft":
        config = json.loads((tmp_path / name / "adapter_config.json").read_text())
        assert (config["peft_type"], config["num_virtual_tokens"], config["token_dim"]) == ("PROMPT_TUNING", 3, 32)


def test_an_exported_prompt_knows_its_model_and_predicts_with_no_other(prompt_files, tmp_path):
    known = {"model": "other", "model_fingerprint": "0" * 64}
    save_prompt(tmp_path / "p.safetensors", PROMPT, known)
    call(
        "ipt_jax.export", f"--prompt={tmp_path / 'p.safetensors'}", "--format=peft", f"--output={tmp_path / 'adapter'}"
    )
    assert load_prompt(tmp_path / "adapter").fingerprint == "0" * 64
    done = predict(prompt_files, tmp_path / "out.jsonl", f"--prompt={tmp_path / 'adapter'}")
    assert done.returncode == 2 and "the prompt was trained on other (weights 000000000000), not on" in done.stderr
