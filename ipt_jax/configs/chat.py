"""The quickstart's methods twice: as plain text, and as turns of the model's own chat template.

    python -m ipt_jax.main --config=chat --workdir=runs/chat

On two cores it takes ten minutes; the table is in docs/chat.md. Another instruct model: --config.model.source=…
"""

from ml_collections import ConfigDict

from ipt_jax.configs import quickstart


def get_config() -> ConfigDict:
    config = quickstart.get_config()
    config.name = "chat"
    config.layout.system = "Write one sentence that says all of these facts."
    for name, run in list(config.runs.items()):
        chat = run.copy_and_resolve_references()
        chat.update({"layout": {**chat.get("layout", {}), "chat": True}})
        config.runs[f"{name}_chat"] = chat
    return config
