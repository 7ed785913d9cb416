"""Spider: every method on the official release, evaluated on dev as in the paper.

    python -m ipt_jax.main --config=spider --config.task.data_dir=DIR --workdir=runs/spider

Limits and steps are those of the config dart, for two CPU cores; its docstring says what the whole release takes.
`--config.task.options.cell_values=True` shows the cells that a question names; it needs the databases.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import dart


def get_config() -> ConfigDict:
    config = dart.get_config()
    config.name = "spider"
    config.task.name = "spider"
    config.task.data_dir = "data/spider"
    config.task.split = "dev"
    config.task.options = ConfigDict({"cell_values": False})
    config.decoding.max_new_tokens = 160  # the longest gold query has 146 of SmolLM2's tokens
    return config
