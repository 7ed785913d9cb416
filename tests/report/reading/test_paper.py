"""The paper's numbers beside ours."""

import json

from paths import GOLDEN

from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.reading import kinds
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.paper import models_beside, paper_numbers, paper_score
from ipt_jax.report.reading.runs import Run

TYPED = GOLDEN / "paper_numbers.json"


def test_our_model_stands_beside_the_papers_same_one_and_another_beside_all():
    assert models_beside("dart", "bigscience/bloom-1b1") == ["BLOOM-1.1B"]
    assert models_beside("dart", "SmolLM2-135M-Instruct") == ["BLOOM-1.1B", "OPT-1.3B", "GPT-2-XL"]
    assert models_beside("sample", "gpt2-xl") == []


DART = {"task": "dart", "task_title": "DART", "model": "gpt2-xl", "examples": 4}
SCORE = {"metric": "bleu_unifiedskg", "score": 1.0}
TUNED = {"prompt_tokens": 25, "training": {"steps": 5}}


def made(label, **numbers):
    return Method(label, (Run({"run": label, "method": label, **DART, **SCORE, **numbers}),))


def test_a_row_of_the_table_has_the_papers_score_of_the_method_with_its_numbers_whatever_its_label():
    random, ours = made("a", demonstrations=1, retriever="random"), {"demonstrations": 1, "retriever": "bm25"}
    dart = Setting((random, made("b", **TUNED, **ours)))
    content = setting_tables.table(dart)
    column = content.header.index("Paper, GPT-2-XL")
    assert [row[column] for row in content.rows] == ["–", "42.1 ± 0.2"]
    assert "arXiv 2302.11521" in setting_tables.as_markdown([dart])


def test_a_synthetic_sample_has_no_numbers_of_the_paper_beside_it():
    sample = Setting((made("PT", **TUNED, task_title="Synthetic sample in DART's format"),))
    assert not [title for title in setting_tables.table(sample).header if "Paper" in title]


def test_of_several_prompt_lengths_the_papers_own_has_its_score_beside_it():
    def tuned(rows):
        return made(f"PT (prompt_tokens={rows})", **TUNED | {"prompt_tokens": rows})

    def beside(*lengths):
        content = setting_tables.table(Setting(tuple(map(tuned, lengths))))
        return [row[content.header.index("Paper, GPT-2-XL")] for row in content.rows]

    assert beside(1, 25, 100) == ["–", "43.5 ± 0.2", "–"]
    assert beside(16) == ["43.5 ± 0.2"]


def test_the_table_is_the_one_that_was_typed():
    given = json.loads(TYPED.read_text())
    names = {"random one-shot ICL": kinds.RANDOM_ONE_SHOT, "PT": kinds.PT, "IPT": kinds.IPT}
    names |= {
        "retrieved one-shot ICL": kinds.RETRIEVED_ONE_SHOT,
        "retrieved three-shot ICL": kinds.RETRIEVED_THREE_SHOT,
    }
    for model, methods in given["table1"].items():
        for method, scores in methods.items() if model != "metrics" else ():
            for task, score in scores.items():
                ours = paper_score(model.removesuffix("-1.5B"), names[method], task.lower())
                assert [ours.mean, ours.deviation] == (score if isinstance(score, list) else [score, None])
    assert paper_numbers()["prompt_length"]["rows"] == given["fig_num_prompt_tokens"]["x"]
