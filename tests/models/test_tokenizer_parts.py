"""Parts of a tokenizer.json: bytes as characters, the token and the space before a text."""

import json

import pytest
from tokenizer_families import FAMILIES, family
from tokenizers import pre_tokenizers, processors

from ipt_jax.errors import InputError
from ipt_jax.models.tokenizer_parts import (
    behind_a_token,
    byte_level_characters,
    first_of_template,
    puts_a_space,
    without_added_space,
)


def test_every_byte_has_one_character_as_in_the_tokenizers_library():
    found = byte_level_characters()
    assert sorted(found.values()) == [bytes([byte]) for byte in range(256)]
    assert set(found) == set(pre_tokenizers.ByteLevel.alphabet())
    assert (found["Ġ"], found["Ċ"], found["a"]) == (b" ", b"\n", b"a")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_token_before_a_text_is_that_of_the_familys_template(name):
    own = family(name)
    expected = None if own.bos is None else own.ids(own.bos)[0]
    assert first_of_template(own.backend) == expected


def test_more_than_one_token_before_a_text_is_refused():
    backend = family("llama3").backend.from_str(family("llama3").backend.to_str())
    names = ("<|begin_of_text|>", "<|eot_id|>")
    tokens = [(name, backend.token_to_id(name)) for name in names]
    backend.post_processor = processors.TemplateProcessing(single=f"{' '.join(names)} $A", special_tokens=tokens)
    with pytest.raises(InputError, match="at most one token is supported"):
        first_of_template(backend)


def test_a_post_processor_whose_token_is_missing_is_an_input_error():
    backend = family("llama3").backend.from_str(family("llama3").backend.to_str())
    backend.post_processor = processors.TemplateProcessing(single="<x> $A", special_tokens=[("<x>", 1)])
    state = json.loads(backend.to_str())
    state["post_processor"]["special_tokens"] = {"<y>": {"id": "<y>", "ids": [1], "tokens": ["<y>"]}}
    with pytest.raises(InputError, match="post-processor names a token that it lacks"):
        first_of_template(backend.from_str(json.dumps(state)))


def test_only_sentencepiece_tokenizers_put_a_space_before_a_text():
    assert {name for name in FAMILIES if puts_a_space(family(name).backend)} == {"llama2", "mistral"}


def test_the_space_is_taken_out_of_every_part_that_puts_or_strips_one():
    sequence = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "NFC"}]}
    assert without_added_space(sequence) == {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    assert without_added_space({"type": "Strip", "content": " ", "start": 1}) is None
    assert without_added_space({"type": "Metaspace", "prepend_scheme": "first"})["prepend_scheme"] == "never"
    assert without_added_space({"type": "ByteLevel", "add_prefix_space": True})["add_prefix_space"] is False
    assert without_added_space(None) is None


def test_behind_a_token_only_the_space_of_the_very_start_goes():
    first, always = ({"type": "Metaspace", "prepend_scheme": scheme} for scheme in ("first", "always"))
    assert behind_a_token(first)["prepend_scheme"] == "never"
    assert behind_a_token(always) == always
    both = {"type": "Sequence", "pretokenizers": [first, {"type": "Digits"}]}
    assert behind_a_token(both)["pretokenizers"][0]["prepend_scheme"] == "never"
    assert behind_a_token(None) is None
