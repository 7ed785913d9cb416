"""Prompts tuned with no, random or retrieved demonstrations, each tested with those, the least similar and none.

How to run it: `base.py`.
"""

from ml_collections import ConfigDict

from ipt_jax.configs.paper import base

SHOWN = {
    "none": {"demonstrations": 0},
    "random": {"demonstrations": 1, "retriever": "random"},
    "retrieved": {"demonstrations": 1},
    "least_similar": {"demonstrations": 1, "selection": "farthest"},
}


def get_config() -> ConfigDict:
    config = base.get_config()
    config.name = "demonstrations"
    prompt, runs = {"prompt_tokens": base.PROMPT_TOKENS}, {}
    for trained in ("none", "random", "retrieved"):
        runs[f"trained_{trained}"] = {"layout": {**prompt, **SHOWN[trained]}, "seed": base.SEEDS}
        for tested, shown in SHOWN.items():
            if tested != trained:  # that is the trained run itself
                runs[f"trained_{trained}_tested_{tested}"] = {
                    "layout": {**prompt, **shown},
                    "prompt": {"initialisation": "file", "source": f"run:trained_{trained}"},
                    "training": {"steps": 0},
                    "seed": base.SEEDS,
                }
    config.runs = ConfigDict(runs)
    return config
