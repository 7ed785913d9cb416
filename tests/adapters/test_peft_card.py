"""The card of an exported folder, and which calls of PEFT's `generate` give what was trained, right and wrong."""

import importlib.util

import numpy as np
import pytest

from ipt_jax.adapters.peft_card import card

WITH_PEFT = pytest.mark.skipif(
    not importlib.util.find_spec("peft"), reason="compares with PEFT; pip install ipt_jax[bench]"
)
NEW, ROWS = 8, 10


@pytest.mark.parametrize("kind", ["prompt", "prefix", "lora"])
def test_a_card_names_the_base_model_and_has_code_that_python_reads(kind):
    text = card(kind, "gpt2", "Something that was trained.")
    assert text.startswith("---\nbase_model: 'gpt2'\nlibrary_name: peft\n")
    compile(text.partition("```python\n")[2].partition("```")[0], "card", "exec")
    assert ("put in again" in text) == (kind != "lora")
    assert "base_model:" not in card(kind, "", "Something.")


def runs_of(kind):
    """(PEFT's model, the words, the call of the card) of random adapters on a tiny model."""
    import make_peft_goldens
    import peft
    import torch

    torch.manual_seed(0)
    base = make_peft_goldens.base_model("llama_tied_grouped")
    prompt = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    config = {
        "prompt": peft.PromptTuningConfig(**prompt),
        "prefix": peft.PrefixTuningConfig(**prompt),
        "lora": peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", init_lora_weights=False),
    }[kind]
    return peft.get_peft_model(base, config).eval()


def longhand(model, ids):
    """Greedy, every token by a forward pass over all."""
    import torch

    with torch.no_grad():
        for _ in range(NEW):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids[0, -NEW:].tolist()


def call_of_the_card(kind, model, given):
    """The new tokens that the last call in the card's code gives."""
    code = card(kind, "gpt2", "").partition("```python\n")[2].partition("```")[0]
    lines = code[code.index('return_tensors="pt")\n') + len('return_tensors="pt")\n') :]
    scope = {"model": model, "given": given}
    options = f"max_new_tokens={NEW}, do_sample=False, eos_token_id=-1, pad_token_id=0"
    exec(lines.replace("max_new_tokens=64", options), scope)
    return scope["tokens"][0, -NEW:].tolist()


@WITH_PEFT
@pytest.mark.parametrize("kind", ["prompt", "prefix", "lora"])
def test_the_call_of_the_card_gives_what_was_trained_and_the_plain_one_is_as_the_card_says(kind):
    import peft
    import torch
    import transformers

    model, draw = runs_of(kind), np.random.default_rng(0)
    right = plain = 0
    for _ in range(ROWS):
        ids = torch.tensor(draw.integers(1, 90, (1, 6)))
        given = transformers.BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        expected = longhand(model, ids)
        right += call_of_the_card(kind, model, given) == expected
        options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": -1, "pad_token_id": 0}
        plain += model.generate(**given, **options)[0, -NEW:].tolist() == expected
    assert right == ROWS
    versions = f"peft {peft.__version__}, transformers {transformers.__version__}"
    if kind == "lora":
        assert plain == ROWS
    else:
        assert plain < ROWS // 2, (
            f"the plain generate is right with {versions}: say so in ipt_jax/adapters/peft_card.py"
        )


@WITH_PEFT
def test_the_prompts_call_without_a_cache_gives_what_was_trained():
    import torch

    model = runs_of("prompt")
    ids = torch.tensor(np.random.default_rng(0).integers(1, 90, (1, 6)))
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": -1, "pad_token_id": 0}
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **options)
    assert found[0, -NEW:].tolist() == longhand(model, ids)


@WITH_PEFT
def test_peft_looks_for_the_cache_under_a_name_that_transformers_no_longer_gives_it():
    """The cause: from the second step on the virtual tokens are put in again, before the newest token."""
    import torch

    model, widths, names = runs_of("prompt"), [], []
    prepare = model.base_model_prepare_inputs_for_generation

    def seen(*args, **kwargs):
        found = prepare(*args, **kwargs)
        names.append({name for name in ("cache", "past_key_values") if found.get(name) is not None})
        return found

    model.base_model_prepare_inputs_for_generation = seen
    model.get_base_model().register_forward_pre_hook(
        lambda module, args, given: widths.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    ids = torch.ones((1, 6), dtype=torch.long)
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, eos_token_id=-1)
    assert names == [{"cache"}] * 3
    assert widths == [4 + 6, 4 + 1, 4 + 1]
