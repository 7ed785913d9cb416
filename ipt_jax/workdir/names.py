"""The names by which runs and methods are known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ipt_jax.workdir.json_text import canonical_json

# What `method_label` is told of a prompt that no run of the experiment has trained.
FROM_A_FILE = "a prompt"
# Behind the name of a method whose rows are turns of a chat.
IN_CHAT = ", chat"
# And behind that of one whose adapter was to do what demonstrations do: of which ones.
TAUGHT = ", distilled from {}"
_ADAPTERS = {"prompt": "prompt", "prefix": "prefix tuning", "lora": "LoRA"}
_NUMBER_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def run_id(config: Mapping[str, Any]) -> str:
    """First 12 hex digits of the sha256 of a resolved run as canonical JSON.

    The order of keys does not matter and a tuple counts as the list of its items; `1` and `1.0` differ.

    Raises:
      ValueError: a leaf is NaN or infinite.
      TypeError: a leaf has no JSON form.
    """
    return hashlib.sha256(canonical_json(config)).hexdigest()[:12]


def method_label(
    prompt_tokens: int,
    demonstrations: int,
    retriever: str | None,
    steps: int,
    prompt_source: str | None,
    selection: str = "nearest",
    adapter: str = "prompt",
) -> str:
    """The name of a method in a table, derived from the numbers that define it.

    Args:
      prompt_tokens: rows of the soft prompt, P.
      demonstrations: demonstrations before each input, k.
      retriever: how they are chosen; 'random' is named so, every other one is 'retrieved', or 'least similar'
        where the selection is 'farthest'. Unused at k = 0.
      steps: training steps.
      prompt_source: what was loaded, such as 'a prompt' or 'PT of mtop'; None or '' where it starts from its
        initialiser.
      selection: 'nearest' or 'farthest'.
      adapter: the kind of what stands where a soft prompt would, such as 'lora'; it is there whatever its rows.

    Example:
      (0, 0) 'zero-shot' · (0, 3, 'bm25') 'ICL, retrieved three-shot' · (25, 0) with steps 'PT' ·
      (25, 1, 'dense') with steps 'IPT' · (25, 1, 'random') with steps 'IPT, random one-shot' ·
      (25, 1, 'dense') with 'a prompt' and no steps 'transfer, retrieved one-shot' ·
      (0, 1, 'dense') with steps and 'lora' 'LoRA, retrieved one-shot'.
    """
    shots, title = shots_label(demonstrations, retriever, selection), _ADAPTERS.get(adapter, adapter)
    if not prompt_tokens and adapter == "prompt":
        return f"ICL, {shots}" if demonstrations else shots
    if not steps:
        if not prompt_source:
            return f"untrained {title}, {shots}"
        return f"transfer, {shots}" if prompt_source == FROM_A_FILE else f"transfer of {prompt_source}, {shots}"
    if adapter != "prompt":
        name = f"{title}, {shots}" if demonstrations else title
    elif demonstrations:  # the paper's IPT has one retrieved demonstration
        name = "IPT" if shots == "retrieved one-shot" else f"IPT, {shots}"
    else:
        name = "PT"
    return f"{name}, from {prompt_source}" if prompt_source else name


def shots_label(demonstrations: int, retriever: str | None, selection: str = "nearest") -> str:
    """'zero-shot', 'random one-shot', 'retrieved three-shot', …, by the numbers of `method_label`."""
    if not demonstrations:
        return "zero-shot"
    chosen = "random" if retriever == "random" else "least similar" if selection == "farthest" else "retrieved"
    return f"{chosen} {_NUMBER_WORDS.get(demonstrations, str(demonstrations))}-shot"
