"""Exact match, word F1, accuracy and macro-F1: worked examples and normalisations."""

import pytest

from ipt_jax.metrics.metric import total
from ipt_jax.metrics.text_match import NORMALISATIONS, match_metrics, word_f1


@pytest.mark.parametrize(
    ("name", "text", "normal"),
    [("none", " A  cat!\n", "A  cat!"), ("lower", " A  cat!\n", "a cat!"), ("squad", "The  cat, an ox.", "cat ox")],
)
def test_a_normalisation_takes_away_what_it_says(name, text, normal):
    assert NORMALISATIONS[name](text) == normal


def test_a_text_matches_any_reference_and_only_as_normalised():
    predictions, references = ["Yes", "the no", "maybe"], [["no", "yes"], ["No!"], ["perhaps"]]
    scores = [match_metrics(name)["exact_match"].of_texts(predictions, references) for name in NORMALISATIONS]
    assert scores == pytest.approx([0, 100 / 3, 200 / 3])


def test_words_count_as_often_as_they_stand_there():
    assert word_f1("a a b", "a b b") == pytest.approx(200 / 3)
    assert (word_f1("", ""), word_f1("", "a"), word_f1("b", "a")) == (100, 0, 0)
    assert match_metrics("none")["f1"].of_texts(["cat sat"], [["dog", "cat"]]) == pytest.approx(200 / 3)


def test_macro_f1_is_the_mean_over_labels_whatever_their_numbers():
    predictions = ["good", "good", "good", "bad", "unheard of"]
    references = [["good"], ["good"], ["bad"], ["bad"], ["mixed"]]
    metrics = match_metrics("none")
    # good: 2 of 3 answers, 2 of 2 references; bad: 1 of 1, 1 of 2; mixed: never answered.
    assert metrics["macro_f1"].of_texts(predictions, references) == pytest.approx(100 * (4 / 5 + 2 / 3 + 0) / 3)
    assert metrics["accuracy"].of_texts(predictions, references) == pytest.approx(60)


def test_macro_f1_of_a_part_is_that_of_the_part_alone():
    metric = match_metrics("none")["macro_f1"]
    predictions, references = ["x", "y", "z", "x"], [["x"], ["x"], ["z"], ["y"]]
    examples = [type("E", (), {"references": texts})() for texts in references]
    rows = metric.statistics(predictions, examples)
    assert metric.corpus(total(rows[:1])) == metric.of_texts(predictions[:1], references[:1]) == 100


def test_macro_f1_is_left_out_where_references_are_no_labels():
    examples = [type("E", (), {"references": [str(n)]})() for n in range(1001)]
    assert match_metrics("none")["macro_f1"].statistics(["1"] * 1001, examples) is None
