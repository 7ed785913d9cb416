"""Methods and settings: means over seeds, what stands beside what, and the order of a table."""

import pytest

from ipt_jax.report.reading.methods import Method, Setting, table_order
from ipt_jax.report.reading.runs import Run


def run(id="a", rows=0, shown=0, retriever=None, scores=(1.0, 3.0), **more):
    predictions = [{"id": f"x{i}", "score": score} for i, score in enumerate(scores)]
    result = {"run": id, "method": id, "metric": "m", "score": 2.0, "prompt_tokens": rows, "demonstrations": shown}
    return Run({**result, "retriever": retriever, "task": "dart", **more}, {}, (), predictions)


def method(label="m", **fields):
    return Method(label, (run(**fields),))


def test_an_examples_score_is_its_mean_over_the_runs_that_all_have_it():
    both = Method("m", (run(scores=(1.0, 3.0, 5.0)), run(scores=(3.0, None, 7.0))))
    assert both.example_scores == {"x0": 2.0, "x2": 6.0}


def test_empty_answers_of_a_method_are_those_of_all_its_runs_or_unknown():
    assert Method("m", (run(empty=1), run(empty=2))).empty == 3
    assert Method("m", (run(empty=1), run())).empty is None


def test_the_method_without_an_adapter_shows_the_same_demonstrations():
    plain, other, ipt = (
        method(shown=1, retriever="bm25"),
        method(shown=1, retriever="random"),
        method(rows=5, shown=1, retriever="bm25", training={"steps": 3}),
    )
    assert Setting((other, plain, ipt)).without_prompt(ipt) is plain
    assert Setting((other, ipt)).without_prompt(ipt) is None


def test_a_chat_is_compared_with_a_chat():
    chat = {"chat": True}
    plain, same = method(), method(layout=chat)
    tuned = method(rows=5, training={"steps": 3}, layout=chat)
    assert Setting((plain, same, tuned)).without_prompt(tuned) is same


def test_the_table_begins_without_adapters_and_ends_with_chats_of_each_kind():
    kinds = [
        method("zero"),
        method("random", shown=1, retriever="random"),
        method("near", shown=1, retriever="bm25"),
        method("zero chat", layout={"chat": True}),
        method("PT", rows=5, training={"steps": 1}),
        method("IPT", rows=5, shown=1, retriever="bm25", training={"steps": 1}),
        method("transfer", rows=5, prompt_source={"run": "x"}),
    ]
    assert [each.label for each in sorted(reversed(kinds), key=table_order)] == [each.label for each in kinds]


@pytest.mark.parametrize(
    ("title", "synthetic"), [("Synthetic sample", True), ("DART", False), ("synthetic DART", True)]
)
def test_data_that_calls_itself_synthetic_is_not_the_papers(title, synthetic):
    setting = Setting((method(task_title=title),))
    assert (setting.synthetic, setting.of_the_paper) == (synthetic, not synthetic)


def test_a_result_that_does_not_say_how_many_examples_it_has_says_so():
    assert Setting((method(),)).size == "examples of unknown number"
    assert Setting((method(examples=5097),)).size == "5,097 examples"
