"""BLEU against the verdicts of the official evaluators."""

import pytest
import sacrebleu
from official import committed, goldens, read_multi_bleu

from ipt_jax.metrics.bleu import bleu, official_text, sentence_bleu


@pytest.fixture(scope="module", params=goldens("dart", slow=True))
def groups(request):
    """Verdict and rows of every golden group; a row has its references."""
    golden = request.param
    references = {row["id"]: row["references"] for row in golden.rows("references.jsonl.gz")}
    rows = {}
    for row in golden.rows("predictions.jsonl.gz"):
        rows.setdefault(row["group"], []).append({**row, "references": references[row["id"]]})
    verdicts = golden.json("groups.json")
    assert {verdict["group"]: verdict["predictions"] for verdict in verdicts} == {
        name: len(own) for name, own in rows.items()
    }
    return [(verdict, rows[verdict["group"]]) for verdict in verdicts]


def columns(rows):
    return [row["prediction"] for row in rows], [row["references"] for row in rows]


def test_every_golden_group_has_the_evaluators_scores(groups):
    assert len(groups) >= 16
    for verdict, rows in groups:
        official = bleu(*columns(rows), convention="dart_official")
        assert_printed(official, verdict["official"]["printed"])
        more_digits = verdict.get("official_recomputed_by_sacrebleu_none_unsmoothed", official.value)
        assert official.value == pytest.approx(more_digits, abs=1e-4), verdict["group"]

        ours, theirs = bleu(*columns(rows), convention="unifiedskg"), verdict["unifiedskg"]
        assert ours.value == pytest.approx(theirs["bleu"], abs=1e-4), verdict["group"]
        for key in ("counts", "totals", "hyp_len", "ref_len"):
            assert ours.details[key] == (tuple(theirs[key]) if isinstance(theirs[key], list) else theirs[key])


def test_every_golden_row_has_the_evaluators_tokens_and_sentence_bleu(groups):
    rows = [row for _, own in groups for row in own]
    assert len(rows) >= 240
    for row in rows:
        assert official_text(row["prediction"]) == row["prediction_tokenised"]
        value = sentence_bleu(row["prediction"], row["references"])
        assert value == pytest.approx(row["sentence_bleu"], abs=1e-4), row


def test_each_committed_prediction_alone_equals_the_official_script():
    references = {row["id"]: row["references"] for row in committed("dart").rows("references.jsonl.gz")}
    rows = [{**row, "references": references[row["id"]]} for row in committed("dart").rows("predictions.jsonl.gz")]
    printed = [row for row in rows if row["official_printed"]]
    assert len(printed) >= 200
    for row in printed:
        assert_printed(bleu(*columns([row]), convention="dart_official"), row["official_printed"])
    for row in rows:
        if not row["prediction"].strip():
            assert bleu(*columns([row]), convention="dart_official").value == 0


def assert_printed(score, line):
    """The score is what the official script printed, to its last digit."""
    printed = read_multi_bleu(line)
    assert score.value == pytest.approx(printed["bleu"], abs=0.0051)
    if printed["lengths"] == (0, 0):
        assert score.details["ref_len"] == 0  # The script prints nothing but zeros then.
        return
    assert score.details["precisions"] == pytest.approx(printed["precisions"], abs=0.051)
    assert score.details["bp"] == pytest.approx(printed["bp"], abs=0.00051)
    assert (score.details["hyp_len"], score.details["ref_len"]) == printed["lengths"]


def test_only_the_first_three_references_are_official():
    references = [["one two three four", "a", "b", "five six seven eight"]]

    assert bleu(["five six seven eight"], references, convention="dart_official").value == 0
    assert bleu(["five six seven eight"], references, convention="unifiedskg").value == pytest.approx(100)


def test_an_absent_official_reference_is_an_empty_line_that_spares_short_predictions_the_penalty():
    # The first prediction has 5 tokens. With three texts of 20 the nearest length is 20; an empty line has length 0.
    long = " ".join(f"w{n}" for n in range(20))
    predictions = [" ".join(f"w{n}" for n in range(5)), "a b c d"]

    three = bleu(predictions, [[long, long, long], ["a b c d"] * 3], convention="dart_official")
    one = bleu(predictions, [[long], ["a b c d"] * 3], convention="dart_official")
    assert (three.details["ref_len"], one.details["ref_len"]) == (24, 4)
    assert one.value == pytest.approx(100) and three.value < 20


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


def test_sacrebleus_own_conventions_are_its_functions_values():
    predictions = ["The Wrestlers is a nice PUB by the river.", "  Zizzi, a pub", ""]
    references = [["The Wrestlers is a pub by the river.", "A pub."], ["Zizzi is a pub.", "zizzi: a pub"], ["One.", ""]]
    streams = list(zip(*references, strict=True))
    for name, lowercase in (("sacrebleu", False), ("sacrebleu_lowercase", True)):
        expected = sacrebleu.corpus_bleu(predictions, streams, lowercase=lowercase).score
        assert bleu(predictions, references, convention=name).value == pytest.approx(expected)
