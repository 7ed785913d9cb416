"""What judges a prediction: one file per metric, each a pure function of predictions and references.

The functions are here by their own names, which some of their files bear too: `ipt_jax.metrics.bleu` is the function,
and `from ipt_jax.metrics.bleu import …` reads the file.
"""

from ipt_jax.metrics.blec import blec
from ipt_jax.metrics.bleu import bleu, sentence_bleu
from ipt_jax.metrics.chrf import chrf
from ipt_jax.metrics.meteor import meteor
from ipt_jax.metrics.mtop_match import mtop_match
from ipt_jax.metrics.multi_bleu import multi_bleu
from ipt_jax.metrics.parent import parent
from ipt_jax.metrics.rouge import rouge_l
from ipt_jax.metrics.spider_execution import execution_match
from ipt_jax.metrics.spider_match import spider_match
from ipt_jax.metrics.totto_bleu import totto_bleu

__all__ = [
    "blec",
    "bleu",
    "chrf",
    "execution_match",
    "meteor",
    "mtop_match",
    "multi_bleu",
    "parent",
    "rouge_l",
    "sentence_bleu",
    "spider_match",
    "totto_bleu",
]
