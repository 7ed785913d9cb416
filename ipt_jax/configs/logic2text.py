"""Logic2Text: every method on the official release, evaluated on test as UnifiedSKG does.

    python -m ipt_jax.main --config=logic2text --config.task.data_dir=DIR --workdir=runs/logic2text

Limits and steps are those of the config dart, for two CPU cores; its docstring says what the whole release takes.
`--config.task.options.caption=False` leaves the table's caption and headers out of the input.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import dart


def get_config() -> ConfigDict:
    config = dart.get_config()
    config.name = "logic2text"
    config.task.name = "logic2text"
    config.task.data_dir = "data/logic2text"
    config.task.split = "test"
    config.task.options = ConfigDict({"caption": True})
    config.limit.test = 200
    config.decoding.max_new_tokens = 64
    return config
