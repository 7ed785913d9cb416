"""Metrics in tables: their names, and what is said of them."""

import pytest

from ipt_jax.metrics.blec import BLEC_SIGNATURE
from ipt_jax.metrics.bleu import bleu
from ipt_jax.metrics.generation import generation_scores
from ipt_jax.metrics.multi_bleu import multi_bleu
from ipt_jax.metrics.totto_bleu import totto_bleu
from ipt_jax.report.metric_titles import metric_meaning, metric_title
from ipt_jax.tasks import TASKS

TEXTS = ["a b c d e"], [["a b c d f"]]


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (bleu(*TEXTS, convention="dart_official").signature, "DART's own script"),
        (bleu(*TEXTS, convention="unifiedskg").signature, "UnifiedSKG computes it"),
        (multi_bleu(*TEXTS).signature, "Logic2Text's own script"),
        (totto_bleu(*TEXTS).signature, "ToTTo's own script"),
        (BLEC_SIGNATURE, "logical form"),
    ],
)
def test_a_score_is_described_by_the_convention_that_it_was_computed_in(signature, words):
    assert words in metric_meaning(signature)


def test_a_convention_without_a_description_is_left_to_its_signature():
    assert metric_meaning("not recorded") == ""
    assert metric_title("share of weekdays") == "share of weekdays"


def test_no_metric_of_a_task_is_called_by_its_key_in_a_table():
    companions = generation_scores(*TEXTS, {"bleu_sacrebleu": "sacrebleu"})
    companions.pop("signatures")
    for name in {*(task.metric for task in TASKS.values()), *companions}:
        assert "_" not in metric_title(name)
