"""The quickstart made small for tests: every method on a few synthetic examples; give --config.model.source."""

from ipt_jax.configs import common, quickstart

EXAMPLES = {"train": 40, "dev": 8, "test": 10}


def get_config(only: str = ""):
    """`only`: the names of the runs to keep, joined by commas; empty for all."""
    config = quickstart.get_config()
    config.name = "small"
    config.limit.update(EXAMPLES)
    config.layout.retriever = "dense"
    config.prompt.initialisation, config.prompt.reparameterisation = "sampled_vocabulary", "mlp"
    config.prompt.hidden = 8
    config.training.steps, config.training.batch_size, config.training.learning_rate = 12, 4, 4e-3
    config.training.eval_every, config.training.dev_examples = 4, 6
    config.decoding.max_new_tokens = 8
    config.execution.checkpoint_every, config.execution.log_every = 4, 1
    config.execution.decode_batch_size = 4
    config.runs = common.paper_methods(prompt_tokens=3, seeds=(0, 1))
    for run in list(config.runs):
        if only and run not in only.split(","):
            del config.runs[run]
    return config


def config_for(lm_folder, cache, *only):
    """It on a language model's folder; `only` as above, one by one."""
    config = get_config(",".join(only))
    config.model.source, config.execution.cache_dir = str(lm_folder), str(cache)
    return config
