"""The sentence that a report begins with, and the order of what follows it on the page."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.report import render
from ipt_jax.report.looks.answer import answer
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.workdir.json_files import write_json


def method(label, scores, seeds=1):
    result = {"run": label, "metric": "bleu_unifiedskg", "score": sum(scores) / len(scores)}
    rows = [{"id": str(i), "score": score} for i, score in enumerate(scores)]
    return Method(label, (Run(result, predictions=rows),) * seeds)


LOW = method("low", [10.0 + i % 7 for i in range(50)])
HIGH = method("high", [40.0 + i % 5 for i in range(50)])
NEAR = method("near", [39.0 + (i + 2) % 6 for i in range(50)])  # a little lower on average, now here, now there


def test_a_method_that_beats_all_others_is_said_to():
    said = "High scores highest, with 42.0 BLEU (UnifiedSKG), and beats the other method (corrected p < 0.001)."
    assert answer(Setting((LOW, HIGH))) == said


def test_what_the_examples_do_not_decide_is_named_with_its_p_value():
    said = answer(Setting((LOW, NEAR, HIGH)))
    assert said.startswith("High scores highest, with 42.0 BLEU (UnifiedSKG), and beats low (corrected p < 0.001)")
    assert "; whether it beats near is not decided (corrected p = " in said


def test_a_best_method_that_beats_nobody_is_only_the_highest():
    said = answer(Setting((NEAR, HIGH)))
    assert said.startswith("High scores highest, with 42.0 BLEU (UnifiedSKG), but whether it beats near is not decided")


def test_a_p_value_is_multiplied_by_the_number_of_all_pairs_because_the_best_was_picked():
    """One test gives 1 in 10,001; of eleven methods make 55 pairs."""
    rest = [method(f"low {n}", [10.0 + (i + n) % 7 for i in range(50)]) for n in range(10)]
    assert "beats each of the 10 other methods (corrected p ≤ 0.006)" in answer(Setting((*rest, HIGH)))


def test_methods_that_share_the_highest_score_share_the_sentence():
    twin = method("twin", list(reversed([40.0 + i % 5 for i in range(50)])))
    said = answer(Setting((LOW, HIGH, twin)))
    assert (
        said
        == "High and twin score highest, with 42.0 BLEU (UnifiedSKG), and beat the other method (corrected p < 0.001)."
    )
    assert answer(Setting((HIGH, twin))) == "All 2 methods score alike: 42.0 BLEU (UnifiedSKG)."


def test_a_method_alone_is_compared_with_nothing():
    assert answer(Setting((HIGH,))) == "High alone was run: 42.0 BLEU (UnifiedSKG)."


def test_scores_without_examples_are_ranked_and_not_tested():
    bare = [Method(m.label, (Run(m.result),)) for m in (LOW, HIGH)]
    assert answer(Setting(tuple(bare))).endswith("; without scores of the same examples nothing could be tested.")


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_score_has_its_deviation_over_the_seeds_where_it_has_one(seeds):
    said = answer(Setting((LOW, method("high", [40.0] * 50, seeds))))
    assert ("40.0 ± 0.0 BLEU" in said) == (seeds > 1)


def test_the_page_begins_with_the_answer_then_the_chart_the_table_the_findings_and_the_claims(study_report, study):
    text = study_report.read_text()
    sentence = answer(collect([study]).settings[0])
    marks = ["<h1>study</h1>", sentence, "<svg", "Main table", "<th scope=", "What the numbers say", '<h2 id="claims">']
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places) and text.index('<h2 id="notes">') > places[-2]


def test_the_page_of_a_synthetic_sample_holds_it_to_no_claim_of_the_paper(quickstart_report):
    text = quickstart_report.read_text()
    before_style, after_style = text.split("<style>")[0], text.split("</style>")[1]
    shown = before_style + after_style.split("<script")[0]
    assert "paper" not in shown.lower() and ">contradicted" not in shown and ">supported" not in shown
    assert "IPT scores highest, with" in shown


@pytest.mark.parametrize("ending", ["txt", "md", "tex"])
def test_the_files_say_the_answer_before_the_table(quickstart_report, ending):
    text = (quickstart_report.parent / f"table.{ending}").read_text()
    assert text.index("IPT scores highest") < text.index("ICL, retrieved three-shot")


def test_several_experiments_are_all_in_the_title_each_once(tmp_path):
    for name in ("a", "b", "c"):
        make_workdir(tmp_path / name, examples=3, methods=METHODS[:1], title=name, task=name)
        write_json(tmp_path / name / "config.json", {"name": "dart" if name == "c" else "own & other"})
    text = render([tmp_path / "a", tmp_path / "b", tmp_path / "c"], tmp_path / "report").read_text()
    assert "<h1>own &amp; other, dart</h1>" in text


def test_without_a_name_the_title_is_the_task(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[:1])
    write_json(tmp_path / "config.json", {})
    assert "<h1>Synthetic sample</h1>" in render([tmp_path]).read_text()
