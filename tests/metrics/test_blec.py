"""BLEC against the verdicts of the official evaluator, and its quirks one by one."""

import time

import pytest
from official import goldens

from ipt_jax.metrics.blec import blec


@pytest.mark.parametrize("golden", goldens("logic2text"))
def test_all_golden_verdicts_are_equal(golden):
    rows = golden.rows("verdicts.jsonl.gz")
    assert len(rows) == (6_756 if golden.whole else 600)
    for row in rows:
        assert blec(row["logic_str"], row["gold"], row["prediction"]) == row["unmatched"], row


@pytest.mark.parametrize(
    ("function", "word"),
    [
        ("only", "one"),
        ("avg", "mean"),
        ("sum", "total"),
        ("max", "top"),
        ("nth_argmax", "larger than any"),
        ("min", "worst"),
        ("nth_argmin", "highest rank"),
        ("filter_greater_eq", "at least"),
        ("all_greater", "over"),
        ("filter_less", "prior"),
        ("all_less_eq", "lighter"),
        ("most_str_not_eq", "major"),
        ("most_greater", "majority"),
        ("most_greater", "above"),
        ("most_less_eq", "most"),
        ("most_less_eq", "under"),
    ],
)
def test_a_function_needs_one_of_its_words(function, word):
    form = f"{function} {{ all_rows ; points }} = true"

    assert blec(form, "", f"it is {word} .") == []
    assert blec(form, "", "it is .") == [function]


@pytest.mark.parametrize("function", ["count", "diff", "hop", "and", "eq", "not_eq", "round_eq", "filter_eq", "all_eq"])
def test_functions_without_words_are_always_said(function):
    assert blec(f"{function} {{ all_rows ; some column }} = true", "", "") == []


def test_words_are_found_inside_words_but_only_in_their_case():
    assert blec("min { rows ; year }", "", "many years") == []
    assert blec("only { rows }", "", "a stone") == []
    assert blec("only { rows }", "", "ONE row") == ["only"]


@pytest.mark.parametrize(
    ("number", "prediction"),
    [
        ("5", "15 games"),
        ("1", "many"),
        ("2", "the second"),
        ("7", "seven"),
        ("8", "nine"),
        ("8", "the eighth"),
        ("10", "ten"),
        ("0", "zero"),
        ("007", "seven"),
        ("1234567", "1,234,567"),
        ("12", "2012"),
    ],
)
def test_a_number_is_said_by_digits_words_ordinals_or_thousands_commas(number, prediction):
    assert blec(f"eq {{ {number} }}", f"the gold says {number}", prediction) == []


@pytest.mark.parametrize(
    ("number", "prediction"),
    [("8", "eight"), ("11", "eleven"), ("007", "7"), ("1234", "1.234"), ("3", "Three"), ("²", "two")],
)
def test_a_number_said_in_another_way_is_unmatched(number, prediction):
    assert blec(f"eq {{ {number} }}", f"the gold says {number}", prediction) == [number]


def test_a_number_that_the_reference_does_not_say_either_is_forgiven():
    assert blec("eq { 12 }", "a dozen", "a few") == []


def test_a_number_of_more_digits_than_int_takes_is_compared_by_its_digits():
    number = "7" * 5_000
    assert blec(f"eq {{ {number} }}", number, "seven") == [number]
    assert blec(f"eq {{ {number} }}", number, number) == []


def test_a_not_in_the_prediction_begins_the_list_unless_the_form_has_it():
    assert blec("max { 5 }", "5", "another") == ["not", "max", "5"]
    assert blec("not { all_rows }", "", "cannot") == []
    assert blec("not { all_rows }", "", "nice") == []
    assert blec("not_eq { a ; b }", "", "not equal") == ["not"]


def test_unmatched_pieces_keep_their_order_and_their_repetitions():
    form = "and { max { all_rows ; 15 } ; and { avg { 15 ; x } ; max { 16 | 15 } } }"
    assert blec(form, "15 16", "5") == ["max", "15", "avg", "15", "max", "16", "15"]


def test_an_empty_prediction_passes_where_nothing_has_to_be_said():
    assert blec("eq { hop { all_rows ; name } ; bob } = true", "bob", "") == []


def test_a_prediction_of_a_million_characters_is_judged_at_once():
    start = time.monotonic()
    assert blec("most_less { all_rows ; 1234567 }", "1234567", "no" * 500_000) == ["most_less", "1234567"]
    assert time.monotonic() - start < 5
