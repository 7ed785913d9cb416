"""Tuned methods against retrieved demonstrations, on invented runs."""

from ipt_jax.report.looks.against_retrieval import tuned_and_retrieved
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run


def method(label, scores, *, rows=0, demonstrations=0, retriever=None, steps=0, selection="nearest"):
    result = {
        "run": label,
        "prompt_tokens": rows,
        "demonstrations": demonstrations,
        "retriever": retriever,
        "training": {"steps": steps} if steps else None,
        "layout": {"selection": selection},
        "score": sum(scores) / len(scores),
    }
    return Method(label, (Run(result, predictions=[{"id": str(i), "score": s} for i, s in enumerate(scores)]),))


ZERO_SHOT = method("zero-shot", [0.0] * 40)
RANDOM = method("random", [1.0] * 40, demonstrations=1, retriever="random")
RETRIEVED = method("retrieved", [20.0 + i % 3 for i in range(40)], demonstrations=1, retriever="dense")
FARTHEST = method("farthest", [2.0] * 40, demonstrations=1, retriever="bm25", selection="farthest")
BETTER = method("better", [30.0 + i % 5 for i in range(40)], rows=5, steps=10)
WORSE = method("worse", [10.0 + i % 2 for i in range(40)], rows=5, steps=10, demonstrations=1, retriever="dense")
ALIKE = method("alike", [20.0 + (i + 1) % 3 for i in range(40)], rows=1, steps=10)
TRANSFERRED = method("transferred", [30.0] * 40, rows=5)


def test_every_tuned_method_stands_against_every_retrieved_one_and_no_other():
    table = tuned_and_retrieved(Setting((ZERO_SHOT, RANDOM, RETRIEVED, FARTHEST, BETTER, WORSE, ALIKE, TRANSFERRED)))
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [
        ("better", "retrieved", "better"),
        ("worse", "retrieved", "retrieved"),
        ("alike", "retrieved", "undecided"),
    ]
    assert table.rows[0][2:4] == ["32.0", "21.0"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_without_a_tuned_or_a_retrieved_method_there_is_no_table():
    assert tuned_and_retrieved(Setting((RANDOM, BETTER))) is None
    assert tuned_and_retrieved(Setting((RANDOM, RETRIEVED, TRANSFERRED))) is None
