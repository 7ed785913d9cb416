"""BLEU against the verdicts of the official evaluators."""

import gzip
import json
from pathlib import Path

import pytest
import sacrebleu

from ipt_jax.metrics.bleu import bleu, official_text, sentence_bleu

GOLDEN = json.loads(gzip.decompress((Path(__file__).parent / "golden" / "dart" / "bleu.json.gz").read_bytes()))
SHARED = Path(__file__).parents[1].parent / "shared" / "golden" / "dart"


def columns(rows):
    return [row["prediction"] for row in rows], [row["references"] for row in rows]


@pytest.mark.parametrize("corpus", GOLDEN["corpora"], ids=lambda corpus: corpus["name"])
def test_both_conventions_equal_the_evaluators_on_golden_corpora(corpus):
    predictions, references = columns(corpus["rows"])
    unifiedskg = bleu(predictions, references, convention="unifiedskg")
    official = bleu(predictions, references, convention="dart_official")

    assert unifiedskg.value == pytest.approx(corpus["unifiedskg"]["bleu"], abs=1e-4)
    assert official.value == pytest.approx(corpus["official"], abs=1e-4)
    assert round(official.value, 2) == corpus["official_printed"]
    for key in ("counts", "totals", "hyp_len", "ref_len"):
        expected = corpus["unifiedskg"][key]
        assert unifiedskg.details[key] == (tuple(expected) if isinstance(expected, list) else expected)


def test_sentence_bleu_equals_sacrebleu_on_golden_sentences():
    rows = GOLDEN["sentences"]
    assert len(rows) >= 30
    assert any(not row["prediction"].strip() for row in rows)
    for row in rows:
        value = sentence_bleu(row["prediction"], row["references"])
        assert value == pytest.approx(row["sentence_bleu"], abs=1e-4), row


def test_only_the_first_three_references_are_official():
    references = [["one two three four", "a", "b", "five six seven eight"]]

    assert bleu(["five six seven eight"], references, convention="dart_official").value == 0
    assert bleu(["five six seven eight"], references, convention="unifiedskg").value == pytest.approx(100)


def test_an_absent_official_reference_is_an_empty_line_that_spares_short_predictions_the_penalty():
    # The prediction has 5 tokens. With three texts of 20 the nearest length is 20; an empty line has length 0.
    long = " ".join(f"w{n}" for n in range(20))
    prediction = " ".join(f"w{n}" for n in range(5))

    three = bleu([prediction], [[long, long, long]], convention="dart_official")
    one = bleu([prediction], [[long]], convention="dart_official")
    assert (three.details["ref_len"], one.details["ref_len"]) == (20, 0)
    assert one.value == pytest.approx(100) and three.value < 10


def test_case_counts_in_one_convention_only():
    predictions, references = ["ZIZZI IS A NICE PUB"], [["zizzi is a nice pub"]]

    assert bleu(predictions, references, convention="dart_official").value == pytest.approx(100)
    assert bleu(predictions, references, convention="unifiedskg").value < 20


def test_predictions_are_stripped_and_an_empty_one_is_allowed():
    references = [["Zizzi is a nice pub."], ["So is this one."]]

    assert bleu(["  Zizzi is a nice pub.\n", "So is this one."], references, convention="unifiedskg").value == (
        pytest.approx(100)
    )
    assert 0 < bleu(["Zizzi is a nice pub.", ""], references, convention="unifiedskg").value < 100
    assert sentence_bleu("", references[0]) == sentence_bleu(" \n", references[0]) == 0


def test_the_signature_names_the_convention_and_the_settings():
    signatures = {
        name: bleu(["a b c d"], [["a b c d"]], convention=name).signature for name in ("unifiedskg", "dart_official")
    }

    assert "convention:unifiedskg" in signatures["unifiedskg"]
    assert "tok:13a|smooth:exp" in signatures["unifiedskg"]
    assert "convention:dart_official" in signatures["dart_official"]
    assert "tok:none|smooth:none" in signatures["dart_official"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hawaii Five-O, 1968.", "hawaii five - o , 1968 ."),
        ("Café  Sicilia\tis\u00a0near", "café sicilia is near"),
        ("İnter", "i̇nter"),  # lower-cased first, the dot would be cut off as a token of its own
        ("", ""),
    ],
)
def test_official_text_cuts_at_non_word_characters_and_lower_cases_last(text, tokens):
    assert official_text(text) == tokens


@pytest.mark.parametrize(
    ("predictions", "references", "convention", "message"),
    [
        (
            ["a"],
            [["a"]],
            "oficial",
            "'oficial' is not a BLEU convention: sacrebleu, sacrebleu_lowercase, unifiedskg, dart_official",
        ),
        (["a", "b"], [["a"]], "dart_official", "2 predictions, 1 lists"),
        ([], [], "dart_official", "0 predictions"),
        (["a"], [[]], "dart_official", "example 0"),
        (["a"], ["a text instead of a list"], "dart_official", "example 0"),
    ],
)
def test_inputs_that_do_not_fit_are_errors(predictions, references, convention, message):
    with pytest.raises(ValueError, match=message):
        bleu(predictions, references, convention=convention)


@pytest.fixture(scope="module")
def verdicts():
    if not SHARED.is_dir():
        pytest.skip("the full golden scores of DART are not in ../shared/golden/dart")
    references = {row["id"]: row["references"] for row in _rows("references.jsonl.gz")}
    groups = {}
    for row in _rows("predictions.jsonl.gz"):
        groups.setdefault(row["group"], []).append({**row, "references": references[row["id"]]})
    return groups


def _rows(name):
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.slow
def test_every_golden_group_has_the_evaluators_scores(verdicts):
    groups = json.loads((SHARED / "groups.json").read_text(encoding="utf-8"))
    assert {group["group"] for group in groups} == verdicts.keys()
    for group in groups:
        predictions, references = columns(verdicts[group["group"]])
        official = bleu(predictions, references, convention="dart_official").value
        assert official == pytest.approx(group["official_recomputed_by_sacrebleu_none_unsmoothed"], abs=1e-4), group
        unifiedskg = bleu(predictions, references, convention="unifiedskg").value
        assert unifiedskg == pytest.approx(group["unifiedskg"]["bleu"], abs=1e-4), group


@pytest.mark.slow
def test_every_golden_row_has_the_evaluators_tokens_and_sentence_bleu(verdicts):
    for rows in verdicts.values():
        for row in rows:
            assert official_text(row["prediction"]) == row["prediction_tokenised"]
            value = sentence_bleu(row["prediction"], row["references"])
            assert value == pytest.approx(row["sentence_bleu"], abs=1e-4), row


def test_sacrebleus_own_conventions_are_its_functions_values():
    predictions = ["The Wrestlers is a nice PUB by the river.", "  Zizzi, a pub", ""]
    references = [["The Wrestlers is a pub by the river.", "A pub."], ["Zizzi is a pub.", "zizzi: a pub"], ["One.", ""]]
    streams = list(zip(*references, strict=True))
    for name, lowercase in (("sacrebleu", False), ("sacrebleu_lowercase", True)):
        expected = sacrebleu.corpus_bleu(predictions, streams, lowercase=lowercase).score
        assert bleu(predictions, references, convention=name).value == pytest.approx(expected)
