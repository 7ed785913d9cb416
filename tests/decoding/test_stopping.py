"""Stop texts on the device: the table follows bytes across tokens exactly as a search in the whole text finds them."""

from types import SimpleNamespace

import numpy as np
import pytest
from decoding_oracle import LMS, PROMPTS, WITHOUT_STOP, M, decode
from hypothesis import given
from hypothesis import strategies as st

from ipt_jax.decoding import strategy
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.stopping import EOS, LENGTH, STOP_TEXT, check_ends, first_stop, follow, is_end, stop_table
from ipt_jax.errors import InputError

PIECES = [b"", b"a", b"b", b"ab", b"ba", b"aab", b"\xc3", b"\xa9", b"\xa9a", b"bab\n", b"end", b" ", b"\n", b"\t\n a"]
TEXTS = st.text("ab\né ", min_size=1, max_size=5)
END = PIECES.index(b"end")


def table_of(stop, hold):
    tokenizer = SimpleNamespace(token_bytes=PIECES, eos_ids=(END,))
    return stop_table(tokenizer, stop, len(PIECES) + 2, after_white_space=hold)


@given(
    stop=st.lists(TEXTS, max_size=3),
    written=st.lists(st.integers(0, len(PIECES) - 1), max_size=12),
    hold=st.booleans(),
)
def test_a_row_stops_at_the_token_that_completes_a_stop_text_in_whatever_pieces(stop, written, hold):
    table = table_of(stop, hold)
    state, so_far = 0, b""
    for token in written:
        state, kind = follow(table, state, token)
        so_far += PIECES[token]
        if token == END:
            assert kind == EOS
            break
        found = any(text.encode() in (so_far.lstrip() if hold else so_far) for text in stop)
        assert kind == (STOP_TEXT if found else LENGTH)
        if found:
            break


@given(stop=TEXTS, written=st.lists(st.integers(0, END - 1), max_size=12), hold=st.booleans(), first=st.integers(0, 4))
def test_a_stop_text_that_is_held_back_is_passed_over_and_the_next_one_counts(stop, written, hold, first):
    table = table_of([stop], hold)
    state, since = 0, b""
    for i, token in enumerate(written):
        state, kind = follow(table, state, token, i < first)
        since += PIECES[token]
        found = stop.encode() in (since.lstrip() if hold else since)
        assert kind == (STOP_TEXT if found and i >= first else LENGTH)
        if kind == STOP_TEXT:
            break
        if found:
            hold, since = False, b""  # the row has begun: from here on white space counts


def test_without_stop_texts_no_state_is_needed_to_tell_where_an_answer_begins():
    assert table_of([], hold=True).shape == table_of([], hold=False).shape == (1, len(PIECES) + 2)


@given(text=st.text("ab\n ", max_size=12), stop=st.lists(TEXTS, max_size=3), hold=st.booleans(), held=st.integers(0, 6))
def test_the_first_stop_text_is_the_first_place_that_a_search_of_every_place_finds(text, stop, hold, held):
    begin = len(text) - len(text.lstrip()) if hold else 0
    every = [i for i in range(len(text)) for s in stop if text.startswith(s, i) and i >= begin and i + len(s) > held]
    assert first_stop(text, stop, after_white_space=hold, held=held) == min(every, default=None)


def test_every_token_with_a_newline_in_it_stops_a_row_from_the_start_and_needs_no_state():
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
    out = strategy.Decoded(tokens, np.array([len(ids)]), each, np.array([LENGTH]), np.array([-1.0]))
    got = strategy.finish(out, lm.tokenizer, Search(M, stop=("END",)))[0]
    assert got.text == "one " and got.stop == "stop_text"
    assert got.log_probability == pytest.approx(-0.5 * len(ids)) and len(got.token_log_probabilities) == len(ids)


def test_an_end_token_that_the_model_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"eos_token_id=\(0, 999999\): the model has the tokens 0 to 264"):
        check_ends((0, 999999), 265)


def generated(text, search):
    """What becomes of a row whose tokens spell the text."""
    lm = LMS["llama"]
    ids = np.array([lm.tokenizer.encode(text)], np.int32)
    out = strategy.Decoded(ids, np.array([ids.size]), np.zeros(ids.shape), np.array([LENGTH]), np.zeros(1))
    (got,) = strategy.finish(out, lm.tokenizer, search)
    return got


@pytest.mark.parametrize(
    ("text", "search", "expected"),
    [
        ("\n a city\nInput", Search(), ("\n a city", "stop_text")),
        ("\n a city\nInput", Search(hold_stop_texts=False), ("", "stop_text")),
        (" \n \n", Search(), (" \n \n", "length")),  # white space alone: empty, and not because it stopped
        ("a city\nInput", Search(), ("a city", "stop_text")),
        ("\nEND of it END", Search(stop=("END",)), ("\n", "stop_text")),  # it begins with a stop text that counts
    ],
)
def test_stop_texts_count_from_the_first_character_that_is_no_white_space(text, search, expected):
    got = generated(text, search)
    assert (got.text, got.stop) == expected


def test_fewest_new_tokens_hold_stop_texts_back_where_these_are_held():
    early = len(LMS["llama"].tokenizer.encode("a\n"))
    text = "a\nb\nc"
    assert generated(text, Search(min_new_tokens=early)).text == "a\nb"
    assert generated(text, Search(min_new_tokens=early - 1)).text == "a"
    assert generated(text, Search(min_new_tokens=early, hold_stop_texts=False)).text == "a"


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}, {"do_sample": True, "temperature": 3.0}])
def test_with_stop_texts_held_back_no_row_ends_before_its_fewest_tokens_and_each_at_the_first_that_counts(settings):
    lm, work = LMS["llama"], [(0, [token]) for token in range(1, 25)]
    stop = tuple(map(chr, range(33, 127)))  # every second token holds one
    held = decode(lm, PROMPTS, work, Search(M, stop=stop, min_new_tokens=3, **settings))
    free = decode(lm, PROMPTS, work, Search(M, stop=stop, min_new_tokens=3, hold_stop_texts=False, **settings))
    assert min(len(got.tokens) for got in free) == 1
    assert min(len(got.tokens) for got in held) == 4
    for got in held:
        assert first_stop(lm.tokenizer.decode(got.tokens[3:-1]), stop) is None
