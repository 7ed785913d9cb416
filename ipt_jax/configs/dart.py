"""DART v1.1.1: every method on the official release files.

    python -m ipt_jax.main --config=dart --config.task.data_dir=DIR --workdir=runs/dart

The limits and steps keep it within the hour on two CPU cores. On an accelerator set the limits to 0 for the whole
release, `training.steps` to five epochs and `task.split` to test.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "dart"
    config.task.name = "dart"
    config.task.data_dir = "data/dart"
    config.task.split = "dev"
    config.limit.train = 3000
    config.limit.dev = 200
    config.training.steps = 40
    config.training.eval_every = 20
    config.training.dev_examples = 16
    config.decoding.max_new_tokens = 48
    config.execution.checkpoint_every = 20
    config.execution.decode_batch_size = 50
    config.layout.overflow = "truncate"
    config.runs = common.paper_methods(prompt_tokens=20, seeds=(0, 1))
    return config
