"""MTOP's verdicts against those of the official evaluator, its quirks, and predictions that mean harm."""

import time
import tracemalloc

import pytest
from official import goldens

from ipt_jax.metrics.mtop_match import MtopMatch, mtop_match

GOLD = "[IN:GET_EVENT [SL:CATEGORY_EVENT music festivals ] [SL:DATE_TIME in 2018 ] ]"


@pytest.mark.parametrize("golden", goldens("mtop"))
def test_all_golden_verdicts_are_equal(golden):
    rows = golden.rows("verdicts.jsonl.gz")
    assert len(rows) == (4_969 if golden.whole else 600)
    for row in rows:
        verdict = tuple(row[name] == 1 for name in ("exact_match", "intent_match", "template_match", "valid"))
        assert mtop_match(row["gold"], row["prediction"]) == verdict, row


def template(prediction, gold=GOLD):
    return mtop_match(gold, prediction).template


def test_a_gold_matches_itself_in_everything():
    assert mtop_match(GOLD, GOLD) == MtopMatch(exact=True, intent=True, template=True, valid=True)


def test_white_space_breaks_the_exact_match_alone():
    assert mtop_match(GOLD, GOLD.replace(" ", "\u00a0\n")) == (False, True, True, True)


def test_slot_order_repeated_slots_words_and_empty_slots_do_not_change_the_template():
    slot, other = "[SL:CATEGORY_EVENT x ]", "[SL:DATE_TIME Y ]"
    assert template(f"[IN:GET_EVENT {other} {slot} ]")
    assert template(f"[IN:GET_EVENT {slot} {slot} {other} [SL:LOCATION ] ]")
    assert not template(f"[IN:GET_EVENT {slot} ]")
    assert not template(f"[IN:GET_EVENT {slot} {other} [SL:LOCATION here ] ]")


def test_a_nested_slot_differs_from_a_flat_one():
    nested = "[IN:A [SL:B [IN:C [SL:D x ] ] ] ]"
    assert template("[IN:A [SL:B [IN:C [SL:D y z ] ] ] ]", nested)
    assert not template("[IN:A [SL:D x ] ]", nested)
    assert not template("[IN:A [SL:B x [IN:C [SL:D x ] ] ] ]", nested)


def test_a_word_under_the_root_is_part_of_the_template():
    assert not template(GOLD.replace("EVENT [", "EVENT show [", 1))
    assert template("[IN:A x ]", "[IN:A y z ]")
    assert not template("[IN:A ]", "[IN:A y z ]")


def test_labels_are_joined_as_the_evaluator_joins_them():
    assert template("[A [B [C x ] ] ]", "[A [B.C x ] ]")
    assert template("[A [B x ] [C x ] ]", "[A [B-C x ] ]")
    assert template("[A [ [.B x ] ] ]", "[A [B x ] ]")
    assert mtop_match("[A-B x ]", "[A-C x ]") == (False, True, False, True)


def test_the_root_intent_alone_can_match():
    assert mtop_match(GOLD, "[IN:GET_EVENT [SL:LOCATION here ] ]") == (False, True, False, True)
    assert mtop_match(GOLD, "[IN:GET_ALARM ]") == (False, False, False, True)


@pytest.mark.parametrize(
    "prediction",
    ["", " ", "]", "word", "[IN:A", "[IN:A ] ]", "[IN:A ] [IN:B ]", "x [IN:A ]", "[IN:A ] x", "[IN:A x]", "[A [B x ]]"],
)
def test_what_is_not_one_tree_is_invalid_and_matches_in_nothing(prediction):
    assert mtop_match(GOLD, prediction) == (False, False, False, False)


def test_the_shortened_format_is_read_as_the_usual_one():
    shortened = "[IN get event = [SL category event = music festivals] [SL date time = in 2018]]"
    assert mtop_match(GOLD, shortened) == (False, True, True, True)
    assert not mtop_match(GOLD, "\t" + shortened).valid


def test_an_unreadable_gold_is_an_error_that_shows_it():
    with pytest.raises(ValueError, match=r"gold = '\[IN:A' is not a bracketed parse"):
        mtop_match("[IN:A", GOLD)


@pytest.mark.parametrize(
    ("prediction", "valid"),
    [
        ("[" * 100_000, False),
        ("[ " * 100_000, False),
        ("]" * 100_000, False),
        ("[IN " + "= [ " * 50_000, False),
        ("[A " * 50_000 + "x " + "] " * 50_000, True),
        ("[A " + "[B x ] " * 50_000 + "]", True),
    ],
    ids=["one token", "open", "closed", "shortened", "deep", "wide"],
)
def test_a_hundred_thousand_brackets_are_judged_quickly(prediction, valid):
    start = time.monotonic()
    assert mtop_match(GOLD, prediction) == (False, False, False, valid)
    assert time.monotonic() - start < 10


def test_memory_grows_linearly_with_the_depth():
    prediction = "[A x " * 10_000 + "] " * 10_000
    tracemalloc.start()
    try:
        assert mtop_match(GOLD, prediction) == (False, False, False, True)
        assert tracemalloc.get_traced_memory()[1] < 20e6  # All the paths as texts would be 100 MB.
    finally:
        tracemalloc.stop()
