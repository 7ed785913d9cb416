"""Safetensors files, read and written, beside the library of that name."""

import hashlib

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from ipt_jax.errors import InputError
from ipt_jax.models.files.safetensors import SafetensorsFile, tensors_as_bytes

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(4, np.float32)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(ARRAYS, path, {"kind": "test"})
    return path


def test_what_the_library_writes_is_read(path):
    file = SafetensorsFile(path)
    assert file.metadata == {"kind": "test"}
    assert set(file.names()) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert file.shape(name) == array.shape
        assert (file.read(name) == array).all()


def test_what_is_written_the_library_reads_and_equal_tensors_give_equal_bytes(tmp_path):
    content = tensors_as_bytes(ARRAYS, {"one": "1", "two": "2"})
    assert content == tensors_as_bytes(dict(ARRAYS), {"one": "1", "two": "2"})
    (tmp_path / "y.safetensors").write_bytes(content)
    read = safetensors.numpy.load_file(tmp_path / "y.safetensors")
    assert {name: array.tolist() for name, array in read.items()} == {n: a.tolist() for n, a in ARRAYS.items()}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a"), ("b",), ()])
def test_the_digest_is_the_files_whatever_was_read_before(path, order):
    file = SafetensorsFile(path)
    for name in order:
        file.read(name)
    assert file.digest() == hashlib.sha256(path.read_bytes()).digest() == file.digest()


def test_halves_keep_their_type(tmp_path):
    halves = {"x": np.ones(3, ml_dtypes.bfloat16)}
    safetensors.numpy.save_file(halves, tmp_path / "h.safetensors")
    assert SafetensorsFile(tmp_path / "h.safetensors").read("x").dtype == ml_dtypes.bfloat16


def test_whole_numbers_are_refused_by_name(tmp_path):
    safetensors.numpy.save_file({"ids": np.arange(3)}, tmp_path / "i.safetensors")
    with pytest.raises(InputError, match="tensor ids is stored as I64; supported: BF16, F16, F32, F64"):
        SafetensorsFile(tmp_path / "i.safetensors").read("ids")


@pytest.mark.parametrize("kept", [0, 5, -1])
def test_a_file_that_is_cut_is_named(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"x\.safetensors is truncated or damaged .*; download it again"):
        SafetensorsFile(path)
