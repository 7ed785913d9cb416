"""What the model sees: text, tokens, the place where the loss begins, and what happens when it is too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from ipt_jax.errors import InputError
from ipt_jax.rows.layout import Demonstration, Ends, Item, Layout, Template, encode, render

TOKENIZER = tiny_tokenizer()
TRUNCATING = Layout(overflow="truncate")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=30)
DEMONSTRATIONS = [Demonstration(f"train:{i}", f"in {i}", f"out {i}") for i in range(3)]


def test_demonstrations_stand_before_the_input_in_the_order_given():
    text = render(Template(), "x", DEMONSTRATIONS[:2])
    assert text == "Input: in 0\nOutput: out 0\n\nInput: in 1\nOutput: out 1\n\nInput: x\nOutput:"


def test_a_brace_in_the_data_is_only_text():
    assert render(Template(), "{input} {0}") == "Input: {input} {0}\nOutput:"


@given(TEXT, TEXT)
def test_the_tokens_of_the_source_are_a_prefix_of_those_of_source_and_target(text, target):
    row = encode(Layout(), TOKENIZER, Item("a", text, target), DEMONSTRATIONS, budget=10_000, ends=Ends(eos_id=0))
    whole = TOKENIZER.encode(row.source + Template().target.format(output=target))
    assert list(row.tokens) == [*whole, 0]
    assert TOKENIZER.encode(row.source) == whole[: row.source_length]


def test_a_row_without_a_target_ends_with_the_source():
    row = encode(Layout(), TOKENIZER, Item("a", "x"), budget=100)
    assert row.source_length == len(row.tokens)
    assert TOKENIZER.decode(row.tokens) == row.source


@given(st.integers(20, 200))
def test_what_does_not_fit_drops_the_farthest_demonstrations_first_and_says_so(budget):
    row = encode(Layout(), TOKENIZER, Item("a", "x"), DEMONSTRATIONS, budget=budget)
    assert len(row.tokens) <= budget
    assert row.dropped + len(row.demonstrations) == 3
    assert [d.id for d in row.demonstrations] == [d.id for d in DEMONSTRATIONS[row.dropped :]]
    if row.dropped:  # one more would not have fitted
        fuller = render(Template(), "x", DEMONSTRATIONS[row.dropped - 1 :])
        assert len(TOKENIZER.encode(fuller)) > budget


def test_an_input_that_is_alone_too_long_is_refused_by_name():
    with pytest.raises(InputError, match=r"dart test:7.*do not fit 40 positions.*layout\.overflow='truncate'"):
        encode(Layout(), TOKENIZER, Item("dart test:7", "y" * 100), budget=40)


def test_an_input_that_is_alone_too_long_is_cut_from_its_end_when_asked():
    row = encode(TRUNCATING, TOKENIZER, Item("a", "abcd" * 30), DEMONSTRATIONS, budget=40)
    assert row.truncated and row.dropped == 3 and len(row.tokens) <= 40
    kept = row.source.removeprefix("Input: ").removesuffix("\nOutput:")
    assert kept and ("abcd" * 30).startswith(kept)
    assert len(TOKENIZER.encode(render(Template(), ("abcd" * 30)[: len(kept) + 1]))) > 40


def test_a_target_that_leaves_no_room_is_refused_even_when_inputs_may_be_cut():
    with pytest.raises(InputError, match="do not fit 30 positions"):
        encode(TRUNCATING, TOKENIZER, Item("a", "x", "z" * 40), budget=30)


def test_a_bos_stands_once_at_the_start_and_the_source_text_does_not_name_it():
    bare = encode(Layout(), TOKENIZER, Item("a", "x", "y"), DEMONSTRATIONS, budget=500, ends=Ends(eos_id=0))
    row = encode(Layout(), TOKENIZER, Item("a", "x", "y"), DEMONSTRATIONS, budget=500, ends=Ends(7, 0))
    assert row.tokens == (7, *bare.tokens)
    assert row.source_length == bare.source_length + 1
    assert row.source == bare.source


@given(st.integers(20, 200), st.sampled_from(["fail", "truncate"]), st.sampled_from([None, "out"]))
def test_a_bos_takes_one_position_of_the_budget(budget, overflow, target):
    def lay_out(room, **ends):
        try:
            item, ends = Item("a", "x" * 30, target), Ends(**ends)
            return encode(Layout(overflow=overflow), TOKENIZER, item, DEMONSTRATIONS, budget=room, ends=ends)
        except InputError:
            return None

    row, bare = lay_out(budget + 1, bos_id=7), lay_out(budget)
    assert (row is None) == (bare is None)
    if row is not None:
        assert row.tokens == (7, *bare.tokens) and len(row.tokens) <= budget + 1
        assert (row.source, row.dropped, row.truncated) == (bare.source, bare.dropped, bare.truncated)


def test_a_row_one_position_too_long_for_its_bos_is_refused_and_the_bos_is_counted():
    length = len(encode(Layout(), TOKENIZER, Item("a", "x"), budget=100).tokens)
    assert encode(Layout(), TOKENIZER, Item("a", "x"), budget=length + 1, ends=Ends(7)).tokens[0] == 7
    with pytest.raises(InputError, match=f"{length + 1} tokens of input and 0 of target do not fit {length} positions"):
        encode(Layout(), TOKENIZER, Item("a", "x"), budget=length, ends=Ends(7))


@pytest.mark.parametrize("fields", [{"query": "Input:"}, {"target": "{output}{output}"}, {"query": "In: {input} "}])
def test_a_template_that_cannot_work_is_refused(fields):
    with pytest.raises(InputError, match=r"layout\.template\."):
        Template(**fields)
