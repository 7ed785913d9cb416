"""chrF, ROUGE-L and METEOR, and the scores of a generation task."""

import random
import stat

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from ipt_jax.errors import InputError
from ipt_jax.metrics.chrf import CHRF_SIGNATURE, chrf, sentence_chrf
from ipt_jax.metrics.generation import example_scores, generation_scores
from ipt_jax.metrics.meteor import meteor, why_left_out
from ipt_jax.metrics.rouge import common_subsequence, rouge_l, sentence_rouge_l

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)


def slow_common_subsequence(a, b):
    """The table of the textbook."""
    row = [0] * (len(b) + 1)
    for x in a:
        before, row = row, [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


@given(WORDS, WORDS)
def test_the_bit_parallel_subsequence_is_the_textbooks(a, b):
    assert common_subsequence(a, b) == slow_common_subsequence(a, b)


def test_a_subsequence_longer_than_a_machine_word_is_right():
    rng = random.Random(0)
    a, b = ([rng.choice("abcd") for _ in range(n)] for n in (500, 300))
    assert common_subsequence(a, b) == slow_common_subsequence(a, b)


def sentences(count, seed):
    rng = random.Random(seed)
    words = ["The", "the", "cat,", "sat.", "on", "MAT's", "12", "café", "--", "naïve", "猫", "it's"]
    return [" ".join(rng.choices(words, k=rng.randrange(0, 15))) for _ in range(count)]


def test_rouge_l_is_the_rouge_score_packages_best_over_references():
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    predictions = sentences(200, seed=1)
    references = [sentences(1 + index % 4, seed=100 + index) for index in range(200)]
    expected = [100 * scorer.score_multi(r, p)["rougeL"].fmeasure for p, r in zip(predictions, references, strict=True)]

    found = [sentence_rouge_l(p, r) for p, r in zip(predictions, references, strict=True)]
    assert found == pytest.approx(expected)
    assert 0 < min(filter(None, expected)) < max(expected) and 0.0 in expected
    assert rouge_l(predictions, references) == pytest.approx(sum(expected) / 200)


def test_chrf_is_sacrebleus_with_a_reference_missing_here_and_there():
    predictions, references = ["the cat sat", "a dog"], [["the cat sat down"], ["a dog", "the dog"]]
    expected = sacrebleu.CHRF()
    value = expected.corpus_score(predictions, [["the cat sat down", "a dog"], [None, "the dog"]]).score

    assert chrf(predictions, references) == pytest.approx(value)
    assert sentence_chrf("a dog", references[1]) == pytest.approx(100)
    assert sentence_chrf("", references[1]) == 0
    settings = str(expected.get_signature()).removeprefix("nrefs:var|")
    assert settings in CHRF_SIGNATURE


@pytest.mark.parametrize("metric", [chrf, rouge_l, meteor])
def test_inputs_that_do_not_fit_are_errors(metric):
    with pytest.raises(ValueError, match="2 predictions, 1 lists"):
        metric(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="example 1 needs a list"):
        metric(["a", "b"], [["a"], []])


@pytest.fixture
def fake_java(tmp_path, monkeypatch):
    """A `java` that notes its arguments and files and answers as METEOR does, or as `answer` says."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\ncp "$4" {tmp_path}/test\ncp "$5" {tmp_path}/refs\n'
        f"cat {tmp_path}/answer\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "answer").write_text(
        "Meteor version: 1.5\n\nSystem level statistics:\n\nFinal score:            0.375\n"
    )
    jar = tmp_path / "meteor-1.5.jar"
    jar.write_text("")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("METEOR_JAR", str(jar))
    return tmp_path


def test_meteor_gets_a_line_per_text_and_as_many_references_for_each(fake_java):
    assert meteor(["one\ntwo", ""], [["a", "b"], ["c\u2028d"]]) == pytest.approx(37.5)
    assert (fake_java / "test").read_text() == "one two\n\n"
    assert (fake_java / "refs").read_text() == "a\nb\nc d\nc d\n"
    arguments = (fake_java / "arguments").read_text().split()
    assert arguments[:3] == ["-Xmx2G", "-jar", str(fake_java / "meteor-1.5.jar")]
    assert arguments[5:] == ["-l", "en", "-norm", "-r", "2"]


def test_meteor_is_a_score_where_its_jar_is_present(fake_java):
    scores = generation_scores(["a b c d"], [["a b c d"]], {"bleu": "sacrebleu"})
    assert scores["meteor"] == pytest.approx(37.5)
    assert scores["signatures"]["meteor"].startswith("convention:meteor-jar|lang:en|norm:yes")
    assert scores.keys() - {"signatures"} == scores["signatures"].keys()


def test_a_program_that_is_not_meteor_is_an_error_that_shows_its_words(fake_java):
    (fake_java / "answer").write_text("no main manifest attribute")
    with pytest.raises(InputError, match="METEOR failed.*METEOR_JAR.*no main manifest"):
        meteor(["a"], [["a"]])


def test_where_meteor_is_left_out_the_signature_says_why(fake_java, monkeypatch):
    (fake_java / "bin" / "java").unlink()
    monkeypatch.setenv("PATH", str(fake_java / "bin"))
    assert "no 'java' on the PATH" in why_left_out()
    monkeypatch.setenv("METEOR_JAR", str(fake_java / "absent.jar"))
    assert "absent.jar is not a file" in why_left_out()
    monkeypatch.delenv("METEOR_JAR")
    scores = generation_scores(["a b c d"], [["a b c d"]], {"bleu": "sacrebleu"})
    assert "meteor" not in scores and scores["signatures"]["meteor"].startswith("left out: the environment variable")
    with pytest.raises(InputError, match="METEOR is left out"):
        meteor(["a"], [["a"]])


def test_scores_of_one_text_are_those_that_make_sense_for_it():
    scores = example_scores("the cat", ["the cat", "x"])
    assert scores == pytest.approx({"sentence_bleu": 100, "chrf": 100, "rouge_l": 100})
    assert example_scores("", ["the cat"]) == {"sentence_bleu": 0, "chrf": 0, "rouge_l": 0}
