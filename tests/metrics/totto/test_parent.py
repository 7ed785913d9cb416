"""PARENT: by hand, against a plain implementation of its definition, and against the official verdicts."""

import itertools
import math
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import committed, goldens, read_lines
from paths import ROOT

from ipt_jax.metrics.metric import scored as rows_of
from ipt_jax.metrics.metric import total
from ipt_jax.metrics.totto.parent import PARENT, PARENT_SIGNATURE, parent, parent_table

SMALL = 1e-5

RECORD = {
    "table": [
        [{"value": " Year ", "is_header": True}, {"value": "Film|Show", "is_header": True}],
        [{"value": "2016", "is_header": False}, {"value": " ", "is_header": False}],
        [{"value": "Tab\tand\nbreak", "is_header": False}, {"value": "Up", "is_header": False}],
    ],
    "highlighted_cells": [[2, 1], [0, 1], [1, 1]],
    "table_page_title": "Jo | Doe",
    "table_section_title": "",
    "table_section_text": "All of it.",
}


def table(precision, recall):
    """The table with these values."""
    return {
        key: "\t".join(f"cell|||{value}" for value in values)
        for key, values in (("precision", precision), ("recall", recall))
    }


def test_the_tables_of_a_record_have_the_official_format():
    assert parent_table(RECORD) == {
        "precision": "header|||Year\theader|||Film-Show\tcell|||2016\tcell|||Tab and break\tcell|||Up"
        "\tpage_title|||Jo - Doe\tsection_text|||All of it.",
        "recall": "cell|||Up\theader|||Film-Show\tpage_title|||Jo - Doe",
    }


def test_a_record_without_cells_and_titles_has_empty_tables():
    empty = {**dict.fromkeys(("table_page_title", "table_section_title", "table_section_text"), ""), "table": [[]]}

    assert parent_table({**empty, "highlighted_cells": []}) == {"precision": "", "recall": ""}


def test_a_small_example_has_the_score_computed_by_hand():
    score = parent("a x", ["a b"] * 3, table(["a"], ["a", "z"]))

    # Precision: "a" is in the reference, "x" nowhere; half of "a x" is in the table; orders 3 and 4 are empty.
    precision = (1 / 2 * 1 / 2 * SMALL * SMALL) ** (1 / 4)
    # Recall: of the reference only "a" is entailed, and found; half of "a b" is, and not found; then nothing is asked.
    # The reference mentions half of the recall table, so the two recalls weigh the same.
    recall = ((1 * SMALL * 1 * 1) ** (1 / 4)) ** (1 / 2) * (1 / 2) ** (1 / 2)
    assert score.precision == pytest.approx(100 * precision)
    assert score.recall == pytest.approx(100 * recall)
    assert score.f == pytest.approx(100 * 2 * precision * recall / (precision + recall), rel=1e-5)


def test_what_only_the_table_says_is_right_but_what_nobody_says_is_not():
    reference, cells = "jo played in up in 2016", ["jo", "up", "2016", "pixar"]

    faithful = parent("jo played in up by pixar", [reference], table(cells, cells[:3]))
    invented = parent("jo played in up by disney", [reference], table(cells, cells[:3]))
    assert faithful.precision > invented.precision
    assert faithful.recall == invented.recall


def test_the_best_reference_counts_whichever_place_it_has():
    texts, cells = ["he is old", "jo won the race", "a b c"], table(["jo", "race"], ["jo"])
    scores = {parent("jo won the race", order, cells) for order in itertools.permutations(texts)}

    assert scores == {parent("jo won the race", [texts[1]], cells)}
    assert scores.pop().f == pytest.approx(100)


def test_text_is_lower_cased_and_detokenised():
    cells = table(["Jo (Ann)", "5,000"], ["Jo (Ann)"])

    assert parent("JO ( ANN ) won 5,000 .", ["Jo (Ann) won 5,000."], cells).f == pytest.approx(100)


def test_a_table_is_detokenised_as_one_line():
    # The lone quote of the first cell opens and joins `y`; that of the second closes it and joins `b`.
    cells = table(["x ' y", "b ' c"], ["x"])

    assert parent("b'", ["q"] * 3, cells).precision == pytest.approx(100 * (1 * SMALL**3) ** (1 / 4))
    assert parent("'c", ["q"] * 3, cells).precision == 0


def test_an_empty_prediction_is_scored_as_null():
    assert parent("", ["a b c d"] * 3, table(["a"], ["a"])).f == 0
    assert parent(" ", ["a b c d"], table(["a"], ["a"])).precision == pytest.approx(
        100 * (1 * 1 * 1 * SMALL) ** (1 / 4)
    )


def test_without_a_recall_table_recall_is_the_references():
    score = parent("jo won the long race", ["jo won the long race"], {"precision": "cell|||jo", "recall": ""})

    assert (score.precision, score.recall) == (pytest.approx(100), pytest.approx(100))
    assert parent("a b c d", ["e f g h"], {"precision": "", "recall": "cell||| \tpage_title|||"}).f == 0


def means_of(scores):
    """The three metrics of a corpus; `parent` is the F-score."""
    values = {metric.name: metric.corpus(total(rows_of(scores))) for metric in PARENT}
    return {"precision": values["parent_precision"], "recall": values["parent_recall"], "f": values["parent"]}


def test_the_corpus_score_is_the_mean_of_each_column():
    assert means_of([(10, 20, 30), (30, 22, 0)]) == {"precision": 20, "recall": 21, "f": 15}


def test_the_signature_names_the_convention():
    assert PARENT_SIGNATURE.startswith("convention:totto_official|")
    assert "lambda:by-reference" in PARENT_SIGNATURE


def plain_parent(prediction, references, known, entries):
    """The definition, one n-gram and one table cell at a time; all arguments are lists of words."""

    def ngrams(words, order):
        return [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]

    def entailed(ngram):
        return sum(word in known for word in ngram) / len(ngram)

    def mention(entry, words):
        lengths = [[0] * (len(words) + 1) for _ in range(len(entry) + 1)]
        for i, j in itertools.product(range(len(entry)), range(len(words))):
            if entry[i] == words[j]:
                lengths[i + 1][j + 1] = lengths[i][j] + 1
            else:
                lengths[i + 1][j + 1] = max(lengths[i][j + 1], lengths[i + 1][j])
        return lengths[-1][-1] / len(entry)

    def geometric_mean(values):
        smoothed = values[:1] + [value or SMALL for value in values[1:]]
        return math.exp(sum(map(math.log, smoothed)) / 4) if all(smoothed) else 0

    results = []
    for reference in references:
        precisions, recalls = [], []
        for order in range(1, 5):
            ours, theirs = ngrams(prediction, order), ngrams(reference, order)
            right = 0
            for ngram in set(ours):
                share = min(1, theirs.count(ngram) / ours.count(ngram))
                right += ours.count(ngram) * (share + (1 - share) * entailed(ngram))
            precisions.append(right / len(ours) if ours else 0)
            asked = sum(map(entailed, theirs))
            found = sum(
                theirs.count(ngram) * entailed(ngram) * min(1, ours.count(ngram) / theirs.count(ngram))
                for ngram in set(theirs)
            )
            recalls.append(found / asked if asked else 1)
        precision, of_reference = geometric_mean(precisions), geometric_mean(recalls) or SMALL
        of_table = sum(mention(entry, prediction) for entry in entries) / len(entries) or SMALL
        weight = 1 - sum(mention(entry, reference) for entry in entries) / len(entries)
        recall = of_reference ** (1 - weight) * of_table**weight
        results.append((precision, recall, 2 * precision * recall / (precision + recall + 1e-8)))
    return [100 * value for value in max(results, key=lambda result: result[2])]


texts = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9)


@given(texts, st.lists(texts, min_size=3, max_size=3), texts, st.lists(texts, min_size=1, max_size=4))
def test_the_score_equals_the_plain_definition(prediction, references, known, entries):
    cells = table([" ".join(known)], [" ".join(entry) for entry in entries])
    score = parent(" ".join(prediction), [" ".join(words) for words in references], cells)

    expected = plain_parent(prediction, references, set(known), entries)
    # Two references may tie in F but for a rounding: then either precision is right.
    assert score.f == pytest.approx(expected[2])
    if plain_parent(prediction, references[::-1], set(known), entries) == expected:
        assert score[:2] == pytest.approx(expected[:2])


def tables_of(golden):
    records = read_lines(golden.release / "totto_dev_sample.jsonl.gz")
    return records, {f"dev_sample:{index}": parent_table(record) for index, record in enumerate(records)}


@pytest.fixture(scope="module", params=goldens("totto"))
def scored(request):
    """The golden set, and its rows with our scores."""
    records, tables = tables_of(request.param)
    references = [[note["final_sentence"] for note in record["sentence_annotations"]] for record in records]
    return request.param, [
        (row, parent(row["prediction"], references[int(row["id"].split(":")[1])], tables[row["id"]]))
        for row in request.param.rows("predictions.jsonl.gz")
    ]


def test_every_golden_row_has_the_evaluators_score(scored):
    golden, rows = scored
    assert len(rows) == (636 if golden.whole else 536)
    for row, score in rows:
        expected = [row[f"parent_{name}"] for name in ("precision", "recall", "f")]
        assert score == pytest.approx(expected, abs=1e-4), row


def test_every_golden_group_and_subset_has_the_evaluators_means(scored):
    golden, rows = scored
    groups = golden.json("groups.json")
    assert len(groups) == (21 if golden.whole else 19)
    for group, (subset, flags) in itertools.product(
        groups, {"overall": (True, False), "overlap": (True,), "nonoverlap": (False,)}.items()
    ):
        scores = [s for row, s in rows if row["group"] == group["group"] and row["overlap_subset"] in flags]
        if expected := group["official"][subset]:
            means = means_of(scores)
            assert means == pytest.approx(expected["parent"], abs=1e-4), group["group"]
            assert {name: round(value, 2) for name, value in means.items()} == expected["parent_printed"]
        else:
            assert not scores


def test_every_golden_table_is_built_as_the_evaluator_does():
    _, tables = tables_of(committed("totto"))
    rows = committed("totto").rows("examples.jsonl.gz")
    assert len(rows) == 28
    for row in rows:
        assert {key: text.lower() for key, text in tables[row["id"]].items()} == {
            "precision": row["precision_table"],
            "recall": row["recall_table"],
        }


def test_every_process_gives_the_same_bits():
    """Shares of a third do not add up exactly, so the order of the n-grams shows in the last bit."""
    words = [f"w{n}" for n in range(40)]
    known = random.Random(0).sample(words, 18)
    text, references = " ".join(words), [" ".join([*words[::3], *words])]
    arguments = f"{text!r}, {references!r}, {table(known, known)!r}"
    code = f"from ipt_jax.metrics.totto.parent import parent; print(parent({arguments}))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1 and "Parent(precision=" in printed.pop()
