"""Score and variance of PT and IPT against the number of prompt rows. How to run it: `base.py`."""

from ml_collections import ConfigDict

from ipt_jax.configs.paper import base

LENGTHS = (1, 3, 5, 10, 25, 50, 100, 150)


def get_config() -> ConfigDict:
    config = base.get_config()
    config.name = "prompt_length"
    config.runs = ConfigDict(
        {
            "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}},
            "pt": {"layout": {"prompt_tokens": LENGTHS}, "seed": (0, 1, 2, 3, 4)},
            "ipt": {"layout": {"prompt_tokens": LENGTHS, "demonstrations": 1}, "seed": (0, 1, 2, 3, 4)},
        }
    )
    return config
