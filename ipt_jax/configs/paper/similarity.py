"""PT and IPT by how similar the demonstration is to the input. How to run it: `base.py`."""

from ml_collections import ConfigDict

from ipt_jax.configs.paper import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.name = "similarity"
    config.runs = ConfigDict(
        {
            "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}},
            "pt": {"layout": {"prompt_tokens": base.PROMPT_TOKENS}, "seed": base.SEEDS},
            "ipt": {"layout": {"prompt_tokens": base.PROMPT_TOKENS, "demonstrations": 1}, "seed": base.SEEDS},
        }
    )
    return config
