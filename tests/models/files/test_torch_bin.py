"""A pytorch_model.bin, where torch is installed, and what is said where it is not."""

import hashlib
import importlib.util
import pickle
import sys

import ml_dtypes
import pytest

from ipt_jax.errors import InputError
from ipt_jax.models.files.torch_bin import TorchBinFile, require_torch

with_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


def test_without_torch_the_ways_out_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"(?s)the\.bin can only .* pip install torch.*model\.safetensors"):
        require_torch("the.bin")


@with_torch
def test_tensors_are_read_in_the_type_that_they_have(tmp_path):
    import torch

    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    torch.save(tensors, tmp_path / "x.bin")
    file = TorchBinFile(tmp_path / "x.bin")
    assert sorted(file.names()) == ["a", "b"]
    assert (file.shape("a"), file.read("a").tolist()) == ((2, 3), tensors["a"].tolist())
    assert file.read("b").dtype == ml_dtypes.bfloat16
    assert file.digest() == hashlib.sha256((tmp_path / "x.bin").read_bytes()).digest()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a file was run')",)


@with_torch
def test_no_code_of_a_file_runs(tmp_path):
    (tmp_path / "evil.bin").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(InputError, match=r"evil\.bin is truncated, damaged, or holds more than tensors"):
        TorchBinFile(tmp_path / "evil.bin")


@with_torch
def test_whole_numbers_are_refused_by_name(tmp_path):
    import torch

    torch.save({"ids": torch.arange(3)}, tmp_path / "i.bin")
    with pytest.raises(InputError, match=r"tensor ids is stored as torch\.int64"):
        TorchBinFile(tmp_path / "i.bin").shape("ids")
