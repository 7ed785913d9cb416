"""In-context learning distilled: a prompt and a LoRA that learn the targets, or what retrieved demonstrations do.

    python -m ipt_jax.main --config=distilled --workdir=runs/distilled

All see no demonstration in the test; beside them stands ICL with the demonstrations that the teacher is shown. The
budget is the quickstart's, for the sample on two CPU cores; docs/adapters.md has the table.
"""

from ml_collections import ConfigDict

from ipt_jax.configs import quickstart

# Of each kind: what it is, and the rates that are tried.
KINDS = {
    "prompt": ({"layout": {"prompt_tokens": 10}}, (3e-2, 1e-1)),
    "lora": ({"adapter": {"kind": "lora"}}, (3e-3, 1e-2)),
}


def get_config() -> ConfigDict:
    config = quickstart.get_config()
    config.name = "distilled"
    config.limit.test = 40
    config.training.steps = 40
    runs = {"zero_shot": {}, "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}}}
    for kind, (what, rates) in KINDS.items():
        for name, taught in (("targets", 0), ("distilled", 1)):
            training = {"learning_rate": rates, "teacher_demonstrations": taught}
            runs[f"{kind}_{name}"] = {**what, "training": training, "seed": (0, 1)}
    config.runs = ConfigDict(runs)
    return config
