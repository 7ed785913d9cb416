"""ToTTo's official BLEU against the verdicts of the official evaluation."""

import functools

import pytest
from judged import judged_bleu
from official import committed, goldens, read_lines

from ipt_jax.metrics.bleu import BLEU_UNIFIEDSKG
from ipt_jax.metrics.totto.bleu import BLEU_TOTTO_OFFICIAL, official_prediction, official_references

judged = functools.partial(judged_bleu, BLEU_TOTTO_OFFICIAL)
SUBSETS = {"overall": (True, False), "overlap": (True,), "nonoverlap": (False,)}


def test_case_spacing_and_tokens_do_not_count():
    references = [["She won the Lugano Trophy (2012), didn't she?"]]

    assert judged(["  SHE won   the lugano trophy ( 2012 ) , didn 't she ? "], references).value == 100
    assert judged(["She won the Lugano Trophy 2012, did she?"], references).value < 70


def test_an_empty_prediction_is_the_null_that_stands_for_missing_references():
    one = judged_bleu(
        BLEU_TOTTO_OFFICIAL, ["", "A bird sang in the tree."], [["A dog ran."], ["A bird sang in the tree."]]
    )
    three = judged_bleu(
        BLEU_TOTTO_OFFICIAL, ["", "A bird sang in the tree."], [["A dog ran."] * 3, ["A bird sang in the tree."]]
    )

    # 13a splits `<null>` into three tokens; they match where a reference is missing.
    assert official_prediction(" \n") == "<null>"
    assert one.counts[:3] == (10, 8, 6)
    assert three.counts[:3] == (7, 6, 5)


def test_only_the_first_three_references_count_and_an_empty_one_stays_empty():
    assert official_references(["A ( b )", "", "C", "D"]) == ("a (b)", "", "c")
    assert official_references(["A"]) == ("a", "<null>", "<null>")


def test_line_breaks_and_tabs_are_blanks():
    assert official_prediction("One\ttwo\r\nthree\n") == "one two three"
    assert official_references(["One\ntwo"])[0] == "one two"


def test_the_score_has_a_signature_that_names_the_convention():
    signature = judged(["a"], [["b"]]).signature

    assert signature.startswith("convention:totto_official|refs:first3,else<null>|text:lower,moses-detokenised|")
    assert "tok:13a|smooth:exp" in signature


def test_lists_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match="1 predictions, 2 examples"):
        judged(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="example 0 needs a list"):
        judged(["a"], [[]])


def references_of(golden):
    """The final sentences of every record of the sample."""
    records = golden.release / "totto_dev_sample.jsonl.gz"
    return {
        f"dev_sample:{index}": [note["final_sentence"] for note in record["sentence_annotations"]]
        for index, record in enumerate(read_lines(records))
    }


@pytest.fixture(scope="module", params=goldens("totto"))
def groups(request):
    """(verdict, predictions, references, overlap flags) of every golden group."""
    golden, references = request.param, references_of(request.param)
    rows, groups = golden.rows("predictions.jsonl.gz"), []
    for group in golden.json("groups.json"):
        own = [row for row in rows if row["group"] == group["group"]]
        flags = [row["overlap_subset"] for row in own]
        groups.append((group, [row["prediction"] for row in own], [references[row["id"]] for row in own], flags))
    assert len(groups) == (21 if golden.whole else 19)
    return groups


@pytest.mark.parametrize("subset", SUBSETS)
def test_every_golden_group_and_subset_has_the_evaluators_scores(groups, subset):
    for group, predictions, references, flags in groups:
        expected = group["official"][subset]
        members = [index for index, flag in enumerate(flags) if flag in SUBSETS[subset]]
        if not members:
            assert expected is None, group["group"]
            continue
        score = judged([predictions[i] for i in members], [references[i] for i in members])

        assert len(members) == expected["examples"]
        assert score.value == pytest.approx(expected["bleu"], abs=1e-4), group["group"]
        assert f"{score.value:.1f}" == f"{expected['bleu_printed']:.1f}"
        assert score.precisions == pytest.approx(expected["precisions"], abs=1e-4)
        assert score.bp == pytest.approx(expected["bp"], abs=1e-4)
        assert (score.hyp_len, score.ref_len) == (expected["hyp_len"], expected["ref_len"])


def test_every_golden_group_has_unifiedskgs_bleu(groups):
    for group, predictions, references, _ in groups:
        score = BLEU_UNIFIEDSKG.of_texts(predictions, references)
        assert score == pytest.approx(group["unifiedskg"]["bleu"], abs=1e-4), group["group"]


def test_each_committed_prediction_alone_has_the_evaluators_bleu():
    references = references_of(committed("totto"))
    rows = [row for row in committed("totto").rows("predictions.jsonl.gz") if row["bleu"] is not None]
    assert len(rows) >= 200
    for row in rows:
        score = judged([row["prediction"]], [references[row["id"]]])
        assert score.value == pytest.approx(row["bleu"], abs=1e-4), row


def test_every_golden_reference_has_the_evaluators_text():
    references = references_of(committed("totto"))
    for row in committed("totto").rows("examples.jsonl.gz"):
        assert list(official_references(references[row["id"]])) == row["detok_references"]
