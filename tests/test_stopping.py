"""Stop texts on the device: the table follows bytes across tokens exactly as a search in the whole text finds them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_decoding import LMS, PROMPTS, WITHOUT_STOP, M, decode

from ipt_jax import decoding
from ipt_jax.errors import InputError
from ipt_jax.search import Search
from ipt_jax.stopping import EOS, LENGTH, STOP_TEXT, check_ends, follow, is_end, stop_table

PIECES = [b"", b"a", b"b", b"ab", b"ba", b"aab", b"\xc3", b"\xa9", b"\xa9a", b"bab\n", b"end"]
TEXTS = st.text("ab\né", min_size=1, max_size=5)
END = PIECES.index(b"end")


@given(stop=st.lists(TEXTS, max_size=3), written=st.lists(st.integers(0, len(PIECES) - 1), max_size=12))
def test_a_row_stops_at_the_token_that_completes_a_stop_text_in_whatever_pieces(stop, written):
    table = stop_table(SimpleNamespace(token_bytes=PIECES, eos_ids=(END,)), stop, len(PIECES) + 2)
    state, so_far = 0, b""
    for token in written:
        state, kind = follow(table, state, token)
        so_far += PIECES[token]
        if token == END:
            assert kind == EOS
            break
        found = any(text.encode() in so_far for text in stop)
        assert kind == (STOP_TEXT if found else LENGTH)
        if found:
            break


def test_every_token_with_a_newline_in_it_stops_a_row_and_needs_no_state():
    tokenizer = LMS["llama"].tokenizer
    table = stop_table(tokenizer, ("\n",), tokenizer.vocab_size)
    assert table.shape == (1, tokenizer.vocab_size)
    for id in range(tokenizer.vocab_size):
        if id in tokenizer.eos_ids:
            assert table[0, id] == EOS
        else:
            assert table[0, id] == (STOP_TEXT if "\n" in tokenizer.decode([id]) else LENGTH)


def test_given_end_tokens_take_the_place_of_the_tokenizers():
    tokenizer = LMS["llama"].tokenizer
    table = stop_table(tokenizer, ("END",), tokenizer.vocab_size + 3, (7, 9))
    assert np.flatnonzero(is_end(table)).tolist() == [7, 9]
    assert follow(table, 2, tokenizer.eos_ids[0]) == (2, LENGTH)  # a special token that ends nothing spells nothing


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_stop_text_of_several_tokens_ends_its_row_on_the_device(num_beams):
    lm, work = LMS["llama"], [(0, [token]) for token in range(1, 5)]
    free = [g.text for g in decode(lm, PROMPTS, work, WITHOUT_STOP)]
    stop = next(text[1:4] for text in free if len(text) > 4 and text[1:4].isascii() and len(set(text[:4])) == 4)
    assert len(lm.tokenizer.encode(stop)) > 1
    stopped = 0
    for got in decode(lm, PROMPTS, work, Search(M, stop=(stop,), num_beams=num_beams)):
        whole = lm.tokenizer.decode(got.tokens)
        assert stop not in lm.tokenizer.decode(got.tokens[:-1]) and stop not in got.text
        assert (got.stop == "stop_text") == (stop in whole)
        stopped += stop in whole and len(got.tokens) < M
    assert stopped or num_beams > 1


def test_the_text_is_cut_before_the_first_stop_text_whatever_the_device_said():
    lm = LMS["llama"]
    ids = lm.tokenizer.encode("one END two")
    tokens = np.zeros((1, 20), np.int32)
    tokens[0, : len(ids)] = ids
    each = np.where(tokens > 0, np.float32(-0.5), 0)
    out = decoding.Decoded(tokens, np.array([len(ids)]), each, np.array([LENGTH]), np.array([-1.0]))
    got = decoding.finish(out, lm.tokenizer, ("END",))[0]
    assert got.text == "one " and got.stop == "stop_text"
    assert got.log_probability == pytest.approx(-0.5 * len(ids)) and len(got.token_log_probabilities) == len(ids)


def test_an_end_token_that_the_model_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"eos_token_id=\(0, 999999\): the model has the tokens 0 to 264"):
        check_ends((0, 999999), 265)
