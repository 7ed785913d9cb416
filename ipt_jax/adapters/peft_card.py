"""The README.md of an exported PEFT folder: what it is, and which call of `generate` gives what was trained.

transformers 5.24 hands the cache to `prepare_inputs_for_generation` under the name `cache`. PEFT 0.21.2 looks for
`past_key_values` there, finds none in any step, and puts the virtual tokens before the newest token again: from the
second token on a cached `generate` of prompt tuning, p-tuning and prefix tuning goes on from something else. LoRA is
not affected. `tests/adapters/test_peft_card.py` says what holds with the versions at hand.
"""

from __future__ import annotations

_LOAD = """from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

model = AutoPeftModelForCausalLM.from_pretrained("FOLDER").eval()
tokenizer = AutoTokenizer.from_pretrained("{base}")
given = tokenizer("Input: …\\nOutput:", return_tensors="pt")
"""
_CALLS = {
    "prompt": """# Without the cache, whatever the versions:
tokens = model.generate(**given, use_cache=False, max_new_tokens=64)

# Or with it, the rows of the prompt and the words as embeddings; it returns the new tokens alone:
import torch

base, rows = model.get_base_model(), model.get_prompt(len(given.input_ids))
embeddings = torch.cat([rows, base.get_input_embeddings()(given.input_ids)], dim=1)
mask = torch.ones(embeddings.shape[:2], dtype=torch.long)
tokens = base.generate(inputs_embeds=embeddings, attention_mask=mask, max_new_tokens=64)
""",
    "prefix": """# The prefix as a cache that is there already, and as many ids before the words that stand for it:
import torch

base, count = model.get_base_model(), model.active_peft_config.num_virtual_tokens
ids = torch.cat([torch.zeros(len(given.input_ids), count, dtype=torch.long), given.input_ids], dim=1)
cache = model.get_prompt(len(ids))
tokens = base.generate(ids, attention_mask=torch.ones_like(ids), past_key_values=cache, max_new_tokens=64)
""",
    "lora": "tokens = model.generate(**given, max_new_tokens=64)\n",
}
_WARNING = """
A plain `model.generate(**given)` gives other tokens from the second one on with peft 0.21.2 and transformers 5.24: the
cache comes under a name that PEFT does not look for, and the virtual tokens are put in again at every step. The calls
above give what was trained. Rows of different lengths in one batch, padded on the left, are not the same again with
models of absolute or rotary positions: decode them one by one, or in groups of one length.
"""


def card(kind: str, base_model: str, said: str) -> str:
    """The text of a folder's README.md.

    Args:
      kind: of `kinds.KINDS`.
      base_model: what transformers loads the language model by; empty where it is not known.
      said: what was trained, in a sentence or two.
    """
    head = ["library_name: peft", "tags:", "- ipt_jax"]
    base = base_model or "THE LANGUAGE MODEL"
    if base_model:
        head.insert(0, f"base_model: {base_model!r}")
    code = _LOAD.format(base=base) + "\n" + _CALLS[kind]
    lines = "\n".join(head)
    return f"---\n{lines}\n---\n\n{said}\n\n```python\n{code}```\n{_WARNING if kind != 'lora' else ''}"
