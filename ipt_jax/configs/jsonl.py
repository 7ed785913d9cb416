"""Your own data in JSON Lines: every method, evaluated on the whole of test.jsonl, with BM25's demonstrations.

    python -m ipt_jax.main --config=jsonl --config.task.data_dir=DIR --workdir=runs/mine

DIR holds train.jsonl, dev.jsonl and test.jsonl with a row {"input": "…", "target": "…"} or {"input": "…",
"references": ["…", …]} per line. An input that the language model has no room for is cut, and the result counts
them; `--config.layout.overflow=fail` makes it an error.

All rows are used: train for demonstrations and batches, dev to choose the step, test for the score. 60 steps and two
seeds are for two CPU cores, where answering a large test split takes longest: `--plan` says how long beforehand, and
`--config.limit.test=200` takes a fixed subset. With more time, or an accelerator:

    --config.training.steps=N             five epochs are 5/8 of the rows of train.jsonl
    --config.training.learning_rate="(1e-3, 3e-3, 1e-2)"    a search, in which dev chooses
    --config.layout.retriever=dense       demonstrations by the language model's own states; it reads all of train first
    --config.decoding.max_new_tokens=N    an answer has at most 64 tokens, and ends with its line
    --config.model.source=gpt2-xl         a Hugging Face folder or hub id, or a GGUF file
"""

from ml_collections import ConfigDict

from ipt_jax.configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "jsonl"
    config.task.name = "jsonl"
    config.task.options = ConfigDict({"metric": "bleu", "normalisation": "none", "choices": "", "per_token": False})
    config.task.split = "test"
    config.layout.retriever = "bm25"
    config.layout.overflow = "truncate"
    config.training.steps = 60
    config.training.eval_every = 20
    config.training.dev_examples = 24
    config.execution.checkpoint_every = 20
    config.runs = common.paper_methods(prompt_tokens=20, seeds=(0, 1))
    return config
