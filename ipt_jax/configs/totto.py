"""ToTTo: every method on the official release, evaluated on dev as in the paper.

    python -m ipt_jax.main --config=totto --config.task.data_dir=DIR --workdir=runs/totto

Limits and steps are those of the config dart, for two CPU cores; its docstring says what the whole release takes.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import dart


def get_config() -> ConfigDict:
    config = dart.get_config()
    config.name = "totto"
    config.task.name = "totto"
    config.task.data_dir = "data/totto"
    config.task.split = "dev"
    config.decoding.max_new_tokens = 64
    return config
