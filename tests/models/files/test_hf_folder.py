"""The readers of weights files: safetensors without a mapping, and `.bin` through torch where there is one."""

import hashlib
import json
import pickle
import sys
import types

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import tiny
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.files import torch_bin
from ipt_jax.models.files.hf_folder import WeightsFolder
from ipt_jax.models.files.safetensors import SafetensorsFile

TENSORS = {
    "half": np.arange(6, dtype=np.float16).reshape(2, 3),
    "brain": np.arange(4).astype(ml_dtypes.bfloat16),
    "single": np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "scalar": np.array(3, np.float32),
    "empty": np.zeros((0, 5), np.float32),
}


def test_a_file_reads_as_the_safetensors_package_reads_it(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "a.safetensors")
    theirs = load_file(tmp_path / "a.safetensors")
    assert set(file.names()) == set(theirs)
    for name in theirs:
        ours = file.read(name)
        assert (file.shape(name), ours.dtype) == (theirs[name].shape, theirs[name].dtype)
        np.testing.assert_array_equal(ours, theirs[name])


def test_names_come_in_the_order_in_which_the_file_keeps_them(tmp_path):
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": at} for name, at in (("b", [4, 8]), ("a", [0, 4]))}
    encoded = json.dumps(header).encode()
    content = len(encoded).to_bytes(8, "little") + encoded + np.array([1, 2], np.float32).tobytes()
    (tmp_path / "a.safetensors").write_bytes(content)
    file = SafetensorsFile(tmp_path / "a.safetensors")
    assert [(name, file.read(name)[0]) for name in file.names()] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("kept", [0, 5, 8, 20, 300, -4])
def test_a_safetensors_file_cut_anywhere_is_named(tmp_path, kept):
    path = tmp_path / "a.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"a\.safetensors is truncated or damaged \(.+\); download it again"):
        SafetensorsFile(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[1, 2]",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32"}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_header_of_another_structure_is_named(tmp_path, header):
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match="truncated or damaged"):
        SafetensorsFile(tmp_path / "a.safetensors")


class FakeTensor:
    """As much of a torch tensor as the reader needs, over a NumPy array."""

    def __init__(self, array):
        self._array = array
        self.shape = array.shape
        self.dtype = {"bfloat16": "torch.bfloat16"}.get(str(array.dtype), f"torch.{array.dtype}")

    def view(self, dtype):
        return FakeTensor(self._array.view(dtype))

    def numpy(self):
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")  # torch's own words
        return self._array


@pytest.fixture
def fake_torch(monkeypatch):
    """A stand-in for torch that keeps pickled arrays; it insists on loading data only."""

    def load(path, *, map_location, weights_only, mmap):
        assert (map_location, weights_only, mmap) == ("cpu", True, False)
        with open(path, "rb") as file:
            content = pickle.load(file)
        if not isinstance(content, dict):
            return content
        return {name: FakeTensor(value) if isinstance(value, np.ndarray) else value for name, value in content.items()}

    module = types.ModuleType("torch")
    module.load, module.Tensor, module.int16 = load, FakeTensor, np.int16
    monkeypatch.setitem(sys.modules, "torch", module)


def write_bin(path, tensors):
    path.write_bytes(pickle.dumps(tensors))


def bin_folder(path):
    """A tiny Llama whose weights are a pytorch_model.bin; also its tensors."""
    folder = tiny.write_hf_folder(path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    return folder, tensors


def equal(ours, theirs):
    return jax.tree.all(jax.tree.map(np.array_equal, ours.params, theirs.params))


def test_a_bin_file_and_its_shards_give_the_model_that_was_saved(tmp_path, fake_torch):
    folder, tensors = bin_folder(tmp_path)
    write_bin(folder / "pytorch_model.bin", tensors)
    assert equal(loading.load(str(folder)), tiny.tiny_lm())
    (folder / "pytorch_model.bin").unlink()
    where = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(tensors)}
    for file in set(where.values()):
        write_bin(folder / file, {name: array for name, array in tensors.items() if where[name] == file})
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    assert equal(loading.load(str(folder)), tiny.tiny_lm())


def test_safetensors_are_preferred_to_a_bin_file_beside_them(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "pytorch_model.bin").write_text("never opened")
    assert equal(loading.load(str(folder)), tiny.tiny_lm())


def test_bfloat16_tensors_of_torch_keep_their_bits(tmp_path, fake_torch):
    folder, tensors = bin_folder(tmp_path)
    halves = {name: array.astype(ml_dtypes.bfloat16) for name, array in tensors.items()}
    write_bin(folder / "pytorch_model.bin", halves)
    source = WeightsFolder(folder, "model.")
    for name in source.names():
        assert source.read(name).dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(source.read(name), halves[name])


def test_a_bin_file_without_torch_is_refused_with_both_ways_out(tmp_path, monkeypatch):
    folder, tensors = bin_folder(tmp_path)
    write_bin(folder / "pytorch_model.bin", tensors)
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python keeps for a module that is not to be imported
    with pytest.raises(InputError, match=r"model\.bin can only be read with torch.*: pip install torch\n.*conv"):
        loading.load(str(folder))


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, {"a": {"b": np.zeros(2, np.float32)}}])
def test_a_bin_file_that_holds_no_tensors_by_name_is_refused(tmp_path, fake_torch, content):
    write_bin(tmp_path / "pytorch_model.bin", content)
    with pytest.raises(InputError, match="holds something else than tensors by name"):
        torch_bin.TorchBinFile(tmp_path / "pytorch_model.bin")


def test_a_damaged_bin_file_is_named(tmp_path, fake_torch):
    (tmp_path / "pytorch_model.bin").write_bytes(b"not a pickle")
    with pytest.raises(InputError, match=r"model\.bin is truncated, damaged, or holds more than tensors \(.+\)"):
        torch_bin.TorchBinFile(tmp_path / "pytorch_model.bin")


def test_a_bin_tensor_of_a_type_that_is_not_supported_is_named(tmp_path, fake_torch):
    write_bin(tmp_path / "pytorch_model.bin", {"a": np.zeros(2, np.int8)})
    with pytest.raises(InputError, match=r"tensor a is stored as torch\.int8; supported: torch\.bfloat16, "):
        torch_bin.TorchBinFile(tmp_path / "pytorch_model.bin").shape("a")


def test_with_torch_itself_tensors_of_old_and_new_files_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {
        "brain": torch.arange(6).reshape(2, 3).to(torch.bfloat16),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.ones(3, dtype=torch.float16),
    }
    for zipped in (True, False):
        torch.save(tensors, tmp_path / "a.bin", _use_new_zipfile_serialization=zipped)
        file = torch_bin.TorchBinFile(tmp_path / "a.bin")
        assert {name: file.shape(name) for name in file.names()} == {"brain": (2, 3), "turned": (3, 2), "half": (3,)}
        np.testing.assert_array_equal(file.read("brain").astype(np.float32), np.arange(6.0).reshape(2, 3))
        np.testing.assert_array_equal(file.read("turned"), np.arange(6.0).reshape(2, 3).T)
        assert (file.read("half").dtype, file.read("brain").dtype) == (np.float16, ml_dtypes.bfloat16)
    torch.save({"a": types.SimpleNamespace()}, tmp_path / "a.bin")  # more than data: torch refuses it
    with pytest.raises(InputError, match="holds more than tensors"):
        torch_bin.TorchBinFile(tmp_path / "a.bin")


def safetensors_bytes(header, data):
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data


def entry(begin, end, dtype="F32", shape=(1,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"a": entry(0, 4), "b": entry(8, 12)}, 12),  # a hole
        ({"a": entry(0, 4), "b": entry(0, 4)}, 4),  # the same bytes twice
        ({"a": entry(4, 8)}, 8),
        ({"a": entry(0, 8, shape=[1])}, 8),
        ({"a": entry(0, 4, dtype="F99")}, 4),
        ({"a": entry(0, 4, dtype="I4")}, 4),
        ({"a": entry(0, 4, shape=[2**63, 2**63])}, 4),
        ({"__metadata__": {"a": 1}, "b": entry(0, 4)}, 4),
        (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", 4),
        ((100_000_001).to_bytes(8, "little"), 0),
    ],
)
def test_what_the_safetensors_package_refuses_is_refused(tmp_path, header, size):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(header, bytes(size)))
    with pytest.raises(safetensors.SafetensorError), safetensors.safe_open(path, framework="numpy"):
        pass
    with pytest.raises(InputError, match="truncated or damaged"):
        SafetensorsFile(path)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_taken_only_where_the_safetensors_package_takes_it(tmp_path_factory, place, bit):
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    content = bytearray(safetensors.numpy.save(TENSORS))
    content[place % 200] ^= 1 << bit
    path.write_bytes(content)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            theirs = sorted(file.keys())
    except safetensors.SafetensorError:
        with pytest.raises(InputError):
            SafetensorsFile(path)
    else:
        assert sorted(SafetensorsFile(path).names()) == theirs


@pytest.mark.parametrize("order", ["as they lie", "backwards", "some", "twice"])
def test_the_digest_of_a_file_is_that_of_its_bytes_whatever_was_read(tmp_path, order):
    path = tmp_path / "a.safetensors"
    save_file(TENSORS, path)
    file = SafetensorsFile(path)
    names = list(file.names())
    read = {"as they lie": names, "backwards": names[::-1], "some": names[::2], "twice": names + names}[order]
    for name in read:
        file.read(name)
    assert file.digest() == hashlib.sha256(path.read_bytes()).digest() == file.digest()
