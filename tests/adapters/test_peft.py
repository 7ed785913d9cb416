"""PEFT's folders give the logits that they give there, in both directions; what is not built is refused by its name."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import safetensors.numpy
from adapter_samples import random_lora
from model_cases import load_case
from paths import GOLDEN
from tiny import tiny_tokenizer
from tolerances import LOGITS, close

import ipt_jax
from ipt_jax.adapters import peft
from ipt_jax.adapters.trained import TrainedAdapter, injection_of, load_adapter
from ipt_jax.errors import InputError
from ipt_jax.language_model import LanguageModel
from ipt_jax.models.loading import FrozenLM

FOLDERS = sorted(path.name for path in (GOLDEN / "peft").iterdir())
FAMILIES = sorted({name.partition("-")[0] for name in FOLDERS})


def language_model(family):
    decoder, params, _ = load_case(family)
    kind = json.loads((GOLDEN / family / "config.json").read_text())["model_type"]
    return LanguageModel(FrozenLM(family, decoder, params, tiny_tokenizer(), "", "float32", family=kind))


def frozen(lm):
    return lm._lm


def logits_of(lm, adapter, tokens):
    return np.asarray(lm.logits(tokens, np.full(len(tokens), tokens.shape[1]), adapter))


def random_adapter(lm, kind):
    """Numbers of the size that changes every logit."""
    c = lm.config
    if kind == "lora":
        return TrainedAdapter(kind, {name: array[0] for name, array in random_lora(c, 1).items()})
    draw, shape = np.random.default_rng(3), (c.num_layers, 4, c.num_kv_heads, c.head_dim)
    return TrainedAdapter(kind, {name: draw.normal(size=shape).astype(np.float32) for name in ("keys", "values")})


def write(folder, adapter, lm, base=""):
    settings, tensors = peft.written(adapter.arrays, adapter.kind, frozen(lm))
    folder.mkdir()
    (folder / peft.CONFIG).write_text(json.dumps({**settings, "base_model_name_or_path": base}))
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / peft.TENSORS
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_peft_gives_the_logits_that_it_gives_there(name):
    lm = language_model(name.partition("-")[0])
    with np.load(GOLDEN / "peft" / name / "answers.npz") as answers:
        tokens, expected = answers["tokens"], answers["logits"]
    ours = logits_of(lm, ipt_jax.load_adapter(GOLDEN / "peft" / name), tokens)
    close(ours, expected, LOGITS)
    assert np.abs(logits_of(lm, None, tokens) - expected).max() > 0.3


@pytest.mark.parametrize("kind", ["prefix", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_for_peft_is_read_as_the_same_changes(family, kind, tmp_path):
    lm, tokens = language_model(family), np.random.default_rng(1).integers(1, 90, (2, 5))
    adapter = random_adapter(lm, kind)
    write(tmp_path / "a", adapter, lm)
    close(logits_of(lm, load_adapter(tmp_path / "a"), tokens), logits_of(lm, adapter, tokens), LOGITS)
    if kind == "prefix":
        again = load_adapter(tmp_path / "a").arrays_for(frozen(lm))
        assert all((again[name] == adapter.arrays[name]).all() for name in ("keys", "values"))


@pytest.mark.skipif(not importlib.util.find_spec("peft"), reason="compares with PEFT; pip install ipt_jax[bench]")
@pytest.mark.parametrize("kind", ["prefix", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_peft_makes_of_what_is_written_for_it_the_logits_that_we_make(family, kind, tmp_path):
    import make_peft_goldens
    from peft import PeftModel

    lm, tokens = language_model(family), np.random.default_rng(1).integers(1, 90, (2, 5))
    adapter = random_adapter(lm, kind)
    write(tmp_path / "a", adapter, lm, str(GOLDEN / family))
    theirs = PeftModel.from_pretrained(make_peft_goldens.base_model(family), tmp_path / "a").eval()
    close(logits_of(lm, adapter, tokens), make_peft_goldens.logits_of(theirs, tokens), LOGITS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"use_dora": True}, "use_dora=True is not supported; LoRA without it is"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern=.*is not supported"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern=.*is not supported"),
        ({"bias": "lora_only"}, "bias='lora_only' is not supported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save=.*is not supported"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa' is not supported"),
        ({"num_transformer_submodules": 2}, "one of an encoder and a decoder"),
        ({"r": 0}, "r=0 and lora_alpha=5 must be"),
        ({"lora_alpha": "5"}, "lora_alpha='5' must be"),
        ({"r": 4}, "has rank 3, where adapter_config.json promises 4"),
    ],
)
def test_a_lora_that_is_not_built_or_contradicts_itself_is_refused_by_name(change, complaint, tmp_path):
    folder = shutil.copytree(GOLDEN / "peft" / "qwen2-lora", tmp_path / "a")
    settings = json.loads((folder / peft.CONFIG).read_text())
    (folder / peft.CONFIG).write_text(json.dumps(settings | change))
    with pytest.raises(InputError, match=complaint):
        injection_of(load_adapter(folder), frozen(language_model("qwen2")))


@pytest.mark.parametrize(
    ("name", "other", "complaint"),
    [
        ("qwen2-prefix", "gpt2_tied", r"a prefix of this model is prompt_embeddings \[positions, 144\]"),
        ("gpt2_tied-lora", "llama_tied_grouped", "changes no linear map of this model's llama layers"),
        ("llama_tied_grouped-lora", "qwen3", "where this model's map is from"),
    ],
)
def test_an_adapter_of_another_model_is_refused_by_what_does_not_fit(name, other, complaint):
    with pytest.raises(InputError, match=complaint):
        injection_of(load_adapter(GOLDEN / "peft" / name), frozen(language_model(other)))


def test_a_lora_of_some_layers_leaves_the_others_as_they_are():
    arrays = load_adapter(GOLDEN / "peft" / "qwen2-one_layer").arrays_for(frozen(language_model("qwen2")))
    assert set(arrays) == {f"{place}.{part}" for place in ("query", "down") for part in ("down", "up")}
    for array in arrays.values():
        assert array[1].any() and not array[[0, 2]].any()


def test_a_folder_without_its_tensors_is_refused(tmp_path):
    shutil.copy(GOLDEN / "peft" / "qwen2-lora" / peft.CONFIG, tmp_path)
    with pytest.raises(InputError, match="has no adapter_model.safetensors"):
        load_adapter(tmp_path)
