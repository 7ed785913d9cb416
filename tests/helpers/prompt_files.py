"""A tiny model, a prompt and inputs on disk, and the command that continues them."""

import json

import numpy as np
import pytest
from commands import call
from tiny import write_hf_folder

PROMPT = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)


@pytest.fixture(scope="session")
def prompt_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    write_hf_folder(folder / "lm", num_hidden_layers=1)
    np.save(folder / "prompt.npy", PROMPT)
    rows = [{"id": f"r{i}", "input": f"Input: {'x ' * i}\nOutput:"} for i in range(6)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def predict(files, output, *flags, source="in.jsonl"):
    return call(
        "ipt_jax.predict",
        f"--model={files / 'lm'}",
        f"--prompt={files / 'prompt.npy'}",
        f"--input={files / source}",
        f"--output={output}",
        "--max_new_tokens=5",
        *flags,
    )
