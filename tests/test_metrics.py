"""The metrics as users find them."""

import subprocess
import sys
from pathlib import Path

import ipt_jax.metrics

ROOT = Path(__file__).parents[1]


def test_every_metric_is_a_function_of_the_package_whatever_was_imported_before():
    code = (
        "import ipt_jax.metrics.parent, ipt_jax.metrics.bleu\n"
        "import ipt_jax.metrics as metrics\n"
        "assert all(callable(getattr(metrics, name)) for name in metrics.__all__), metrics.__all__\n"
        "import sys; assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True, timeout=120)


def test_a_metric_is_called_with_strings_alone():
    assert round(ipt_jax.metrics.bleu(["a b c d"], [["a b c d"]], convention="sacrebleu").value) == 100
    assert round(ipt_jax.metrics.chrf(["a b"], [["a b"]])) == round(ipt_jax.metrics.rouge_l(["a b"], [["a b"]])) == 100
