"""In-context learning, prompt tuning and instruction prompt tuning of frozen language models, in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipt_jax.checkpoints import load_prompt, save_prompt
    from ipt_jax.errors import InputError
    from ipt_jax.finished_run import load_run
    from ipt_jax.language_model import LanguageModel, load_lm

__version__ = "0.1.0"
__all__ = ["InputError", "LanguageModel", "load_lm", "load_prompt", "load_run", "save_prompt"]

# Where each public name lives. They are imported on first use, so that commands which need no language
# model (score, report) start without JAX.
_HOMES = {
    "InputError": "errors",
    "LanguageModel": "language_model",
    "load_lm": "language_model",
    "load_prompt": "checkpoints",
    "load_run": "finished_run",
    "save_prompt": "checkpoints",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
