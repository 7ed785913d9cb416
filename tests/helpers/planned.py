"""What experiments are planned for: a language model without weights."""

import pytest
from tiny import write_hf_folder


@pytest.fixture(scope="session")
def planned_lm(tmp_path_factory):
    folder = write_hf_folder(tmp_path_factory.mktemp("lm"), "gpt2", n_positions=1024)
    (folder / "model.safetensors").unlink()
    return folder
