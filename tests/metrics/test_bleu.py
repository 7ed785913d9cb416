"""BLEU against the verdicts of the official evaluators."""

import pytest
import sacrebleu
from judged import examples_of, judged_bleu, single
from official import committed, goldens, read_multi_bleu

from ipt_jax.metrics.bleu import (
    BLEU_DART_OFFICIAL,
    BLEU_LOWERCASE,
    BLEU_SACREBLEU,
    BLEU_UNIFIEDSKG,
    SENTENCE_BLEU,
    official_text,
)


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
        official = judged_bleu(BLEU_DART_OFFICIAL, *columns(rows))
        assert_printed(official, verdict["official"]["printed"])
        more_digits = verdict.get("official_recomputed_by_sacrebleu_none_unsmoothed", official.value)
        assert official.value == pytest.approx(more_digits, abs=1e-4), verdict["group"]

        ours, theirs = judged_bleu(BLEU_UNIFIEDSKG, *columns(rows)), verdict["unifiedskg"]
        assert ours.value == pytest.approx(theirs["bleu"], abs=1e-4), verdict["group"]
        for key in ("counts", "totals", "hyp_len", "ref_len"):
            assert getattr(ours, key) == (tuple(theirs[key]) if isinstance(theirs[key], list) else theirs[key])


def test_every_golden_row_has_the_evaluators_tokens_and_sentence_bleu(groups):
    rows = [row for _, own in groups for row in own]
    assert len(rows) >= 240
    for row in rows:
        assert official_text(row["prediction"]) == row["prediction_tokenised"]
        value = single(SENTENCE_BLEU, row["prediction"], row["references"])
        assert value == pytest.approx(row["sentence_bleu"], abs=1e-4), row


def test_each_committed_prediction_alone_equals_the_official_script():
    references = {row["id"]: row["references"] for row in committed("dart").rows("references.jsonl.gz")}
    rows = [{**row, "references": references[row["id"]]} for row in committed("dart").rows("predictions.jsonl.gz")]
    printed = [row for row in rows if row["official_printed"]]
    assert len(printed) >= 200
    for row in printed:
        assert_printed(judged_bleu(BLEU_DART_OFFICIAL, *columns([row])), row["official_printed"])
    for row in rows:
        if not row["prediction"].strip():
            assert BLEU_DART_OFFICIAL.of_texts(*columns([row])) == 0


def assert_printed(score, line):
    """The score is what the official script printed, to its last digit."""
    printed = read_multi_bleu(line)
    assert score.value == pytest.approx(printed["bleu"], abs=0.0051)
    if printed["lengths"] == (0, 0):
        assert score.ref_len == 0  # The script prints nothing but zeros then.
        return
    assert score.precisions == pytest.approx(printed["precisions"], abs=0.051)
    assert score.bp == pytest.approx(printed["bp"], abs=0.00051)
    assert (score.hyp_len, score.ref_len) == printed["lengths"]


def test_only_the_first_three_references_are_official():
    references = [["one two three four", "a", "b", "five six seven eight"]]

    assert BLEU_DART_OFFICIAL.of_texts(["five six seven eight"], references) == 0
    assert BLEU_UNIFIEDSKG.of_texts(["five six seven eight"], references) == pytest.approx(100)


def test_an_absent_official_reference_is_an_empty_line_that_spares_short_predictions_the_penalty():
    # The first prediction has 5 tokens. With three texts of 20 the nearest length is 20; an empty line has length 0.
    long = " ".join(f"w{n}" for n in range(20))
    predictions = [" ".join(f"w{n}" for n in range(5)), "a b c d"]

    three = judged_bleu(BLEU_DART_OFFICIAL, predictions, [[long, long, long], ["a b c d"] * 3])
    one = judged_bleu(BLEU_DART_OFFICIAL, predictions, [[long], ["a b c d"] * 3])
    assert (three.ref_len, one.ref_len) == (24, 4)
    assert one.value == pytest.approx(100) and three.value < 20


def test_case_counts_in_one_convention_only():
    predictions, references = ["ZIZZI IS A NICE PUB"], [["zizzi is a nice pub"]]

    assert BLEU_DART_OFFICIAL.of_texts(predictions, references) == pytest.approx(100)
    assert BLEU_UNIFIEDSKG.of_texts(predictions, references) < 20


def test_predictions_are_stripped_and_an_empty_one_is_allowed():
    references = [["Zizzi is a nice pub."], ["So is this one."]]

    assert BLEU_UNIFIEDSKG.of_texts(["  Zizzi is a nice pub.\n", "So is this one."], references) == (pytest.approx(100))
    assert 0 < BLEU_UNIFIEDSKG.of_texts(["Zizzi is a nice pub.", ""], references) < 100
    assert single(SENTENCE_BLEU, "", references[0]) == single(SENTENCE_BLEU, " \n", references[0]) == 0


def test_the_signature_names_the_convention_and_the_settings():
    unifiedskg, official = (m.signature_of(examples_of([["a"]])) for m in (BLEU_UNIFIEDSKG, BLEU_DART_OFFICIAL))

    assert unifiedskg.startswith("convention:unifiedskg|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert official.startswith("convention:dart_official|refs:first3|") and "|nrefs:3|" in official
    assert "|case:mixed|eff:no|tok:none|smooth:none|version:" in official


def test_the_signature_has_the_number_of_references_where_all_examples_have_as_many():
    for references, number in (([["a", "b"], ["c", "d"]], "2"), ([["a", "b"], ["c"]], "var")):
        assert f"|nrefs:{number}|" in BLEU_UNIFIEDSKG.signature_of(examples_of(references))
        assert "|nrefs:3|" in BLEU_DART_OFFICIAL.signature_of(examples_of(references))


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
    ("predictions", "references", "message"),
    [
        (["a", "b"], [["a"]], "2 predictions, 1 examples"),
        ([], [], "0 predictions"),
        (["a"], [[]], "example 0"),
        (["a"], ["a text instead of a list"], "example 0"),
    ],
)
def test_inputs_that_do_not_fit_are_errors(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        BLEU_DART_OFFICIAL.of_texts(predictions, references)


def test_sacrebleus_own_conventions_are_its_functions_values():
    predictions = ["The Wrestlers is a nice PUB by the river.", "  Zizzi, a pub", ""]
    references = [["The Wrestlers is a pub by the river.", "A pub."], ["Zizzi is a pub.", "zizzi: a pub"], ["One.", ""]]
    streams = list(zip(*references, strict=True))
    for metric, lowercase in ((BLEU_SACREBLEU, False), (BLEU_LOWERCASE, True)):
        expected = sacrebleu.BLEU(lowercase=lowercase)
        assert metric.of_texts(predictions, references) == expected.corpus_score(predictions, streams).score
        assert metric.signature_of(examples_of(references)).endswith(f"|{expected.get_signature()}")
