"""Prompts of every task, tuned without demonstrations, on every task with its demonstrations. To run it: `base.py`."""

from ml_collections import ConfigDict

from ipt_jax.configs.paper import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.name = "transfer"
    prompt = {"prompt_tokens": base.PROMPT_TOKENS}
    config.runs = ConfigDict(
        {
            "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}},
            "pt": {"layout": prompt, "seed": base.SEEDS},
            "transfer": {
                "layout": {**prompt, "demonstrations": 1},
                "prompt": {"initialisation": "file", "source": "run:pt@*"},
                "training": {"steps": 0},
                "seed": base.SEEDS,
            },
        }
    )
    return config
