"""What the other configs start from: every setting with its default, see docs/settings.md."""

from ml_collections import ConfigDict

from ipt_jax.experiment import schema


def get_config() -> ConfigDict:
    return schema.config_dict()


def paper_methods(prompt_tokens: int, seeds: tuple[int, ...]) -> ConfigDict:
    """The rows of the paper's main table, and zero-shot, as `config.runs`."""
    trained = {"prompt_tokens": prompt_tokens}
    return ConfigDict(
        {
            "zero_shot": {},
            "icl_random_one_shot": {"layout": {"demonstrations": 1, "retriever": "random"}},
            "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}},
            "icl_retrieved_three_shot": {"layout": {"demonstrations": 3}},
            "pt": {"layout": trained, "seed": seeds},
            "ipt": {"layout": {**trained, "demonstrations": 1}, "seed": seeds},
        }
    )
