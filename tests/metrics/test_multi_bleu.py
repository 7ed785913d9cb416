"""BLEU of Logic2Text's official script against what that script printed."""

import collections
import functools

import pytest
from judged import judged_bleu
from official import committed, goldens, read_multi_bleu

from ipt_jax.metrics.bleu import BLEU_SACREBLEU
from ipt_jax.metrics.multi_bleu import MULTI_BLEU

judged = functools.partial(judged_bleu, MULTI_BLEU)


def assert_printed(score, line):
    """The score is what the official script printed, to its last digit."""
    printed = read_multi_bleu(line)
    assert score.value == pytest.approx(printed["bleu"], abs=1e-4)
    assert score.precisions == pytest.approx(printed["precisions"], abs=1e-4)
    assert score.bp == pytest.approx(printed["bp"], abs=1e-3)
    assert (score.hyp_len, score.ref_len) == printed["lengths"]


@pytest.fixture(scope="module", params=goldens("logic2text", slow=True))
def groups(request):
    """Verdict, predictions and references of every golden group."""
    golden, rows = request.param, collections.defaultdict(list)
    for row in golden.rows("bleu_predictions.jsonl.gz"):
        rows[row["group"]].append(row)
    verdicts = golden.json("overall.json")["bleu_groups"]
    assert [verdict["predictions"] for verdict in verdicts] == [len(rows[verdict["group"]]) for verdict in verdicts]
    return [(verdict, *columns(rows[verdict["group"]])) for verdict in verdicts]


def columns(rows):
    return [row["prediction"] for row in rows], [[row["reference"]] for row in rows]


def test_all_golden_groups_equal_the_official_script(groups):
    assert len(groups) >= 14
    for verdict, predictions, references in groups:
        assert_printed(judged(predictions, references), verdict["multi_bleu"]["printed"])


def test_all_golden_groups_equal_sacrebleu_in_its_convention(groups):
    for verdict, predictions, references in groups:
        score = BLEU_SACREBLEU.of_texts(predictions, references)
        assert score == pytest.approx(verdict["sacrebleu_13a"], abs=1e-4), verdict["group"]


def test_each_committed_prediction_alone_equals_the_official_script():
    rows = committed("logic2text").rows("bleu_predictions.jsonl.gz")
    printed = [row for row in rows if row["official_printed"]]
    assert len(printed) >= 200
    for row in printed:
        assert_printed(judged(*columns([row])), row["official_printed"])


def test_an_empty_prediction_alone_scores_zero_where_the_official_script_stops():
    stopped = [row for row in committed("logic2text").rows("bleu_predictions.jsonl.gz") if not row["official_printed"]]
    assert stopped
    for row in stopped:
        assert not row["prediction"].strip()
        assert judged(*columns([row])).value == 0


def test_equal_texts_score_one_hundred():
    score = judged(["a b c d e", "f"], [["a b c d e"], ["f"]])
    assert score.value == 100
    assert score.signature.startswith("convention:multi-bleu|")


def test_without_a_common_fourgram_the_score_is_zero():
    assert judged(["a b c x d e"], [["a b c d e f"]]).value == 0


def test_only_ascii_white_space_separates_words():
    references = [["a b c d e"]]
    for space in " \t\n\r\f\v":
        assert judged([f"a b c d{space}e"], references).value == 100
    for space in "\u00a0\u2028\u3000\x1c\x85":
        assert judged([f"a b c d{space}e"], references).hyp_len == 4
        assert judged([f"a b c d{space}e"], [[f"a b c d{space}e"]]).value == 100


def test_the_nearest_reference_length_counts_and_of_two_the_shorter():
    assert judged(["a b c d e"], [["a b c d e f", "a b c d"]]).ref_len == 4


def test_an_example_without_a_reference_is_an_error():
    with pytest.raises(ValueError, match="example 1 needs a list of at least one reference"):
        judged(["a", "b"], [["a"], []])
