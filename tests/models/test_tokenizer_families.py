"""Every family's kind of tokenizer: BOS, ends, added spaces, exact texts, and agreement with transformers."""

import functools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_families import FAMILIES, family

from ipt_jax.models import tokenizer as module
from ipt_jax.rows import layout

LAYOUT = layout.Layout()

TEXTS = (
    "Input: the put\nOutput:",
    " the leading space",
    "  two  spaces ",
    "a , b . c 's ! n't",
    "2026 in 2020",
    "e\u0301 is é 😀",
    "\n\nthe\n",
    "tab\tx :\n\nIn",
    "<think> <table> a: b",
    "",
)
# What `transformers` 5.23 gives other tokens to, because it rebuilds the family's class from the vocabulary:
# LlamaTokenizer puts no space before a text that begins with one (SentencePiece and the tokenizer.json do), and
# GPT2Tokenizer, which SmolLM2 names as its class, keeps digits together.
REBUILT = {"llama2": {" the leading space", "  two  spaces "}, "smollm2": {"2026 in 2020"}}
# These put a space before a text, the second kind only before one that does not begin with a space.
SPACED = {"llama2": "always", "mistral": "unless there is one"}
# A text begins with a letter, as every template does.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")).map("x{}".format)


@pytest.fixture(scope="module", params=FAMILIES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return family(name).write(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return module.from_folder(folder)


def composed(name, text):
    return unicodedata.normalize("NFC", text) if family(name).composes else text


@functools.cache
def auto(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def test_the_bos_is_what_the_familys_template_puts_first_and_only_an_input_gets_it(name, tokenizer):
    bos = family(name).bos
    assert tokenizer.bos_id == (None if bos is None else family(name).ids(bos)[0])
    text = "the put"
    assert tokenizer.bos_id not in tokenizer.encode(text)
    assert tokenizer.encode_input(text) == ([] if bos is None else [tokenizer.bos_id]) + tokenizer.encode(text)


def test_the_ends_are_those_of_all_files_and_a_target_ends_with_the_tokenizers_own(name, tokenizer):
    assert tokenizer.eos_ids == family(name).ids(*family(name).ends)


def test_the_tokens_are_those_of_transformers_auto_tokenizer_with_and_without_the_bos(name, folder, tokenizer):
    for text in set(TEXTS) - REBUILT.get(name, set()):
        assert tokenizer.encode(text) == auto(folder)(text, add_special_tokens=False).input_ids
        assert tokenizer.encode_input(text) == auto(folder)(text).input_ids


def test_the_decoded_text_is_that_of_transformers_without_its_clean_up(folder, tokenizer):
    for text in TEXTS:
        ids = tokenizer.encode_input(text)
        want = auto(folder).decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert tokenizer.decode(ids) == want


def test_the_tokens_are_those_of_the_tokenizer_json_as_it_stands_where_transformers_rebuilds_it(folder, tokenizer):
    from transformers import PreTrainedTokenizerFast

    as_it_stands = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text in TEXTS:
        assert tokenizer.encode_input(text) == as_it_stands(text).input_ids


def test_digits_are_split_as_the_family_was_trained(name, tokenizer):
    pieces = [tokenizer.decode([i]) for i in tokenizer.continuation.encode("2026")]
    whole = {"gpt2", "opt", "bloom", "llama3", "gpt_neox"}
    assert pieces == (["202", "6"] if name in whole else ["2", "0", "2", "6"])


def test_a_text_of_its_own_gets_a_space_only_in_families_that_put_one_and_decoding_takes_it_off(name, tokenizer):
    first = tokenizer.encode("the")[:1]
    assert (first == tokenizer.continuation.encode(" the")[:1]) == (name in SPACED)
    assert tokenizer.decode(tokenizer.encode("the")) == "the"
    leading = "the" if SPACED.get(name) == "unless there is one" else " the"
    assert tokenizer.decode(tokenizer.encode(" the")) == leading


@pytest.mark.parametrize("text", ["the", " the", "  the", "\nthe", " ", ""])
def test_a_continuation_keeps_exactly_the_spaces_that_it_has(tokenizer, text):
    assert tokenizer.continuation.decode(tokenizer.continuation.encode(text)) == text


def test_the_first_generated_token_keeps_its_space(tokenizer):
    source, whole = tokenizer.encode("Output:"), tokenizer.encode("Output: the")
    assert tokenizer.continuation.decode(whole[len(source) :]) == " the"


def test_a_continuation_has_the_ends_and_the_pieces_of_its_tokenizer(tokenizer):
    other = tokenizer.continuation
    assert other.eos_ids == tokenizer.eos_ids
    assert other.vocab_size == tokenizer.vocab_size
    assert other.pieces_containing("\n").tolist() == tokenizer.pieces_containing("\n").tolist()
    assert other.continuation is other


def test_decoding_cleans_nothing_up(tokenizer):
    text = "a , b . c 's n't  ! ?\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=30)
@given(text=TEXT)
def test_any_text_comes_back_from_its_ids(name, tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == composed(name, text)


@settings(max_examples=30)
@given(text=TEXT, shown=TEXT, target=st.one_of(TEXT, TEXT.map(lambda text: text[1:])))
def test_a_rows_tokens_are_those_of_its_whole_text_and_the_sources_are_a_prefix(name, tokenizer, text, shown, target):
    demonstrations = [layout.Demonstration("train:0", shown, target)]
    ends, room = layout.Ends(tokenizer.bos_id, tokenizer.eos_ids[0]), {"budget": 9999}
    row = layout.encode(LAYOUT, tokenizer, layout.Item("a", text, target), demonstrations, ends=ends, **room)
    asked = layout.encode(LAYOUT, tokenizer, layout.Item("a", text), demonstrations, ends=ends, **room)
    whole = f"{row.source} {target}\n"
    assert list(row.tokens) == [*tokenizer.encode_input(whole), tokenizer.eos_ids[0]]
    assert row.tokens[: row.source_length] == asked.tokens == tuple(tokenizer.encode_input(row.source))
    assert tokenizer.decode(row.tokens) == composed(name, whole)
    assert tokenizer.continuation.decode(row.tokens[row.source_length :]) == composed(name, f" {target}\n")


def test_a_row_has_one_bos_at_its_very_start(tokenizer):
    demonstrations = [layout.Demonstration(f"train:{i}", "in", "put") for i in range(3)]
    item, ends = layout.Item("a", "the", "put"), layout.Ends(tokenizer.bos_id)
    row = layout.encode(LAYOUT, tokenizer, item, demonstrations, budget=999, ends=ends)
    places = [place for place, token in enumerate(row.tokens) if token == tokenizer.bos_id]
    assert places == ([] if tokenizer.bos_id is None else [0])
    assert row.source.startswith("Input: in\n")


def test_control_tokens_named_in_a_text_are_text(name, tokenizer):
    backend = family(name).backend
    specials = {i: t.content for i, t in backend.get_added_tokens_decoder().items() if t.special}
    assert specials
    text = f"x {' '.join(specials.values())}{next(iter(specials.values()))}."
    for encoder in (tokenizer, tokenizer.continuation):
        assert not set(encoder.encode(text)) & specials.keys()
        assert encoder.decode(encoder.encode(text)) == text


def test_the_pieces_containing_a_newline_are_exactly_those_that_decode_to_one(tokenizer):
    found = set(tokenizer.pieces_containing("\n").tolist())
    assert found == {int(i) for i in tokenizer.ordinary_ids() if "\n" in tokenizer.continuation.decode([i])}
    assert set(tokenizer.continuation.encode(" the\n")) & found


def test_ordinary_ids_leave_out_every_special_token_and_every_end(name, tokenizer):
    ordinary = set(tokenizer.ordinary_ids().tolist())
    backend = family(name).backend
    special = {i for i, token in backend.get_added_tokens_decoder().items() if token.special}
    assert ordinary == set(backend.get_vocab().values()) - special - set(tokenizer.eos_ids)
    assert tokenizer.bos_id not in ordinary


@pytest.mark.parametrize("name", [name for name in FAMILIES if family(name).older_files], scope="module")
def test_a_folder_with_vocab_json_and_merges_txt_gives_the_tokenizer_of_the_tokenizer_json(name, tmp_path):
    older, newer = (module.from_folder(family(name).write(tmp_path / str(old), old)) for old in (True, False))
    assert (older.bos_id, older.eos_ids) == (newer.bos_id, newer.eos_ids)
    for text in TEXTS:
        assert older.encode(text) == newer.encode(text)


@pytest.mark.parametrize("name", FAMILIES, scope="module")
def test_a_folder_whose_vocabulary_is_missing_is_refused_instead_of_made_up(name, tmp_path):
    folder = family(name).write(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(module.InputError, match=r"put the model's tokenizer\.json there"):
        module.from_folder(folder)


@pytest.mark.parametrize("name", ["llama2", "mistral", "gemma2"], scope="module")
def test_a_sentencepiece_model_that_cannot_be_read_says_what_to_install_or_to_add(name, tmp_path):
    folder = family(name).write(tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"no model")
    with pytest.raises(module.InputError, match=r"tokenizer\.json there, or run: pip install sentencepiece"):
        module.from_folder(folder)


def test_special_tokens_that_only_transformers_knows_are_refused(tmp_path):
    folder = family("opt").write(tmp_path, older_files=True)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(module.InputError, match=r"adds the tokens <\|endoftext\|>.*put the model's tokenizer_config"):
        module.from_folder(folder)
