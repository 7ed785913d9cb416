"""The embedded default: SmolLM2-135M on the synthetic sample, every method, minutes on two CPU cores.

    python -m ipt_jax.main --config=quickstart --workdir=runs/quickstart

It should end with retrieved ICL, PT and IPT above random one-shot ICL; README.md has the measured table.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "quickstart"
    config.training.steps = 32
    config.training.learning_rate = 4e-3
    config.training.eval_every = 16
    config.training.dev_examples = 24
    config.decoding.max_new_tokens = 40  # the longest reference has 39
    config.execution.checkpoint_every = 16
    config.execution.decode_batch_size = 50
    config.runs = common.paper_methods(prompt_tokens=16, seeds=(0, 1))
    # A row without a demonstration is half as long: twice the steps take the same time.
    config.runs.pt.training = {"steps": 64}
    return config
