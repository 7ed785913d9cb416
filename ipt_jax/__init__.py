"""In-context learning, prompt tuning and instruction prompt tuning of frozen language models, in JAX.

Nine words mean one thing each:

Example     input, target, references
Row         an example as token ids, with the place where the loss begins
Adapter     what is trained beside the frozen model; the soft Prompt f32[P, E] is one
LM          frozen functions, parameters, tokenizer
Run         one resolved configuration
Population  runs that differ only in what an adapter carries for itself, trained and decoded as one unit
Request     what is to be continued: whose prompt, tokens, id
Answer      what was written for a request
Result      the row in result.json
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipt_jax.adapters.files import load_prompt, save_prompt
    from ipt_jax.adapters.trained import load_adapter
    from ipt_jax.errors import InputError
    from ipt_jax.experiment.api import run
    from ipt_jax.experiment.finished_run import load_run
    from ipt_jax.language_model import LanguageModel, load_lm

__version__ = "0.1.0"
__all__ = ["InputError", "LanguageModel", "load_adapter", "load_lm", "load_prompt", "load_run", "run", "save_prompt"]

# Where each public name lives. They are imported on first use, so that commands which need no language
# model (score, report) start without JAX.
_HOMES = {
    "InputError": "errors",
    "LanguageModel": "language_model",
    "load_adapter": "adapters.trained",
    "load_lm": "language_model",
    "load_prompt": "adapters.files",
    "load_run": "experiment.finished_run",
    "run": "experiment.api",
    "save_prompt": "adapters.files",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
