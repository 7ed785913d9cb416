"""MTOP in English: every method on the official release, evaluated on dev (the released eval) as in the paper.

    python -m ipt_jax.main --config=mtop --config.task.data_dir=DIR --workdir=runs/mtop

Limits and steps are those of the config dart, for two CPU cores; its docstring says what the whole release takes.
`--config.task.options.intent_list=True` adds the list of all intents to each input, over 500 tokens.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import dart


def get_config() -> ConfigDict:
    config = dart.get_config()
    config.name = "mtop"
    config.task.name = "mtop"
    config.task.data_dir = "data/mtop"
    config.task.split = "dev"
    config.task.options = ConfigDict({"intent_list": False})
    config.decoding.max_new_tokens = 112  # the longest parse has 103 of SmolLM2's tokens
    return config
