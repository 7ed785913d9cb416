"""What to train: a prompt, a key-value prefix or LoRA, each with no, a random or a retrieved demonstration.

    python -m ipt_jax.main --config=adapters --workdir=runs/adapters
    python -m ipt_jax.main --config=adapters --workdir=runs/adapters --config.tasks=dart,mtop --config.data_dir=DIR

Every method has the same steps and examples, and the learning rate of its own that the dev loss prefers: its rates and
seeds are one population. The report's view "Kinds of adapter" has trained numbers, bytes, arithmetic and seconds beside
the score. The budget is the quickstart's, for the sample on two CPU cores; give other tasks more steps, the text that
their prompt starts from (`prompt.text`) and their `decoding.max_new_tokens`.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import quickstart

SEEDS = (0, 1)
# Of each kind: what it is, and the rates that are tried. On the sample LoRA took 1e-2 of 3e-3, 1e-2 and 3e-2 (which
# breaks it), and a prefix the largest of 1e-2, 3e-2 and 1e-1, by little: so few steps want a large rate.
KINDS = {
    "prompt": ({"layout": {"prompt_tokens": 10}}, (3e-2, 1e-1)),
    "prefix": ({"adapter": {"kind": "prefix"}, "layout": {"prompt_tokens": 10}}, (3e-2, 1e-1)),
    "lora": ({"adapter": {"kind": "lora"}}, (3e-3, 1e-2)),
}
DEMONSTRATIONS = {
    "plain": {},
    "random": {"demonstrations": 1, "retriever": "random"},
    "retrieved": {"demonstrations": 1},
}


def get_config() -> ConfigDict:
    config = quickstart.get_config()
    config.name = "adapters"
    config.limit.test = 40
    runs = {f"icl_{name}": {"layout": shown} for name, shown in DEMONSTRATIONS.items() if shown}
    for kind, (what, rates) in KINDS.items():
        for name, shown in DEMONSTRATIONS.items():
            layout = {**what.get("layout", {}), **shown}
            runs[f"{kind}_{name}"] = {**what, "layout": layout, "training": {"learning_rate": rates}, "seed": SEEDS}
    config.runs = ConfigDict(runs)
    return config
