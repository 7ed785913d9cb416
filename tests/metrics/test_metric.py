"""Metrics as users call them."""

import subprocess
import sys

from paths import ROOT

from ipt_jax.metrics.bleu import BLEU_SACREBLEU
from ipt_jax.metrics.chrf import CHRF2
from ipt_jax.metrics.rouge import ROUGE_L


def test_listing_tasks_and_metrics_imports_neither_jax_nor_numpy():
    code = "import sys, ipt_jax.tasks.scores; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True, timeout=120)


def test_a_metric_is_called_with_strings_alone():
    for metric in (BLEU_SACREBLEU, CHRF2, ROUGE_L):
        assert round(metric.of_texts(["a b c d"], [["a b c d"]])) == 100
