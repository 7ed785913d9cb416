"""The embedded default: SmolLM2-135M on the synthetic sample, every method, minutes on two CPU cores.

    python -m ipt_jax.main --config=quickstart --workdir=runs/quickstart

It should end with retrieved ICL and PT above random one-shot ICL, and IPT above ICL with the same demonstrations;
README.md has the measured table.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "quickstart"
    config.limit.test = 60
    config.layout.retriever = "bm25"  # at once, where the model's own states of 1,000 texts take a minute
    # An answer ends at the newline that a target ends with. The end token behind it is never written, but the model
    # expects nothing less: so short a training would learn little else.
    config.layout.end_token = False
    # What the rows are at first already says what is wanted: IPT begins where ICL is, and not behind random words.
    config.prompt.initialisation = "text"
    config.prompt.text = "Write one sentence that says all of these facts.\n"
    config.prompt.reparameterisation = "none"
    # Of 3e-3, 1e-2, 3e-2 and 1e-1, searched in populations: so few steps want a large one.
    config.training.learning_rate = 3e-2
    config.training.steps = 20
    config.training.batch_size = 4
    config.training.warmup_steps = 2
    config.training.eval_every = 10
    config.training.dev_examples = 8
    config.decoding.max_new_tokens = 24  # the longest reference has 23
    config.execution.checkpoint_every = 10
    config.execution.log_every = 1
    config.execution.decode_batch_size = 60
    config.runs = common.paper_methods(prompt_tokens=10, seeds=(0, 1))
    del config.runs.icl_retrieved_three_shot  # twice as long as the others, and not needed for what this shows
    # A row without a demonstration is half as long: twice the steps take the same time.
    config.runs.pt.training = {"steps": 40}
    return config
