"""The paper's main table: every method on every task with every language model. How to run it: `base.py`."""

from ml_collections import ConfigDict

from ipt_jax.configs import common
from ipt_jax.configs.paper import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.name = "table1"
    config.runs = common.paper_methods(base.PROMPT_TOKENS, base.SEEDS)
    return config
