"""No field of a `config.json` is passed over: it is read, known to be harmless, or named in an error."""

import json
import logging

import pytest
import tiny
from transformers import AutoConfig

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.loading import HF_FAMILIES

# The configs of the paper's models as they are on the hub.
PUBLISHED = {
    "gpt2-xl": {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": 50256,
        "embd_pdrop": 0.1,
        "eos_token_id": 50256,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 1024,
        "n_embd": 1600,
        "n_head": 25,
        "n_layer": 48,
        "n_positions": 1024,
        "output_past": True,
        "resid_pdrop": 0.1,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "vocab_size": 50257,
    },
    "facebook/opt-1.3b": {
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["OPTForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "eos_token_id": 2,
        "ffn_dim": 8192,
        "hidden_size": 2048,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 2048,
        "model_type": "opt",
        "num_attention_heads": 32,
        "num_hidden_layers": 24,
        "pad_token_id": 1,
        "prefix": "</s>",
        "torch_dtype": "float16",
        "transformers_version": "4.21.0.dev0",
        "use_cache": True,
        "vocab_size": 50272,
        "word_embed_proj_dim": 2048,
    },
    "bigscience/bloom-1b1": {
        "apply_residual_connection_post_layernorm": False,
        "architectures": ["BloomForCausalLM"],
        "attention_dropout": 0.0,
        "attention_softmax_in_fp32": True,
        "bias_dropout_fusion": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_dropout": 0.0,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "masked_softmax_fusion": True,
        "model_type": "bloom",
        "n_embed": 1536,
        "n_inner": None,
        "n_layer": 24,
        "num_attention_heads": 16,
        "offset_alibi": 100,
        "pad_token_id": 3,
        "pretraining_tp": 1,
        "seq_length": 2048,
        "skip_bias_add": True,
        "skip_bias_add_qkv": False,
        "transformers_version": "4.20.0",
        "unk_token_id": 0,
        "use_cache": True,
        "vocab_size": 250880,
    },
}


@pytest.mark.parametrize("family", HF_FAMILIES)
def test_every_field_that_transformers_knows_of_a_family_is_read_or_harmless(family):
    hf = HfConfig(AutoConfig.for_model(family).to_dict())
    HF_FAMILIES[family].config_from_hf(hf)
    # Also the fields that are off by default: being off is not what makes them understood.
    assert hf.unused() == {"is_encoder_decoder": False}


OTHER_SIZES = {"hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 2, "num_hidden_layers": 7}


@pytest.mark.parametrize("sizes", [{}, OTHER_SIZES], ids=["default sizes", "other sizes"])
@pytest.mark.parametrize("family", HF_FAMILIES)
def test_a_missing_field_stands_for_what_transformers_takes_or_is_named(family, sizes):
    translate = HF_FAMILIES[family].config_from_hf
    known = AutoConfig.for_model(family).to_dict()
    whole = AutoConfig.for_model(family, **{name: size for name, size in sizes.items() if name in known}).to_dict()
    for missing in whole.keys() - {"model_type"}:
        left = {name: value for name, value in whole.items() if name != missing}
        try:
            ours = translate(left)
        except InputError as error:
            assert f"lacks the setting {missing!r}" in str(error)
        else:
            assert ours == translate(AutoConfig.for_model(**left).to_dict()), missing


@pytest.mark.parametrize("family", HF_FAMILIES)
@pytest.mark.parametrize("value", ["4", 0, -1, True, [1], {"a": 1}, float("nan"), 10**400])
def test_a_size_that_cannot_be_is_named_with_its_value(family, value):
    whole = AutoConfig.for_model(family).to_dict()
    for name in whole.keys() & {"vocab_size", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "rms_norm_eps"}:
        with pytest.raises(InputError, match=f"the config: {name}=.* must be a "):
            HF_FAMILIES[family].config_from_hf(whole | {name: value})


def test_fields_that_say_where_a_model_comes_from_are_passed_over_and_told_of(tmp_path, caplog):
    told = {"_num_labels": 1, "auto_map": {"AutoModelForCausalLM": "modeling_x.Y"}, "model_max_length": 4096}
    folder = tiny.write_hf_folder(tmp_path, **told, padding_side="")
    with caplog.at_level(logging.INFO, logger="ipt_jax"):
        loading.load(str(folder))
    assert caplog.messages == [f"{folder}/config.json: passed over _num_labels, auto_map, model_max_length"]


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, "its weights are quantised"),
        ("pruned_heads", {"0": [1]}, "lacks attention heads"),
        ("per_layer_config", {"0": {"hidden_act": "relu"}}, "its layers are of different kinds"),
        ("is_encoder_decoder", True, "an encoder with a decoder"),
    ],
)
def test_a_field_that_makes_another_model_is_refused_by_name(tmp_path, name, value, meaning):
    folder = tiny.write_hf_folder(tmp_path, **{name: value})
    with pytest.raises(InputError, match=rf"config\.json has {name}=.*: .*{meaning}"):
        loading.load(str(folder))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_configs_of_the_papers_models_are_understood(name):
    hf = HfConfig(PUBLISHED[name])
    HF_FAMILIES[hf["model_type"]].config_from_hf(hf)
    hf.check_all_understood()


def test_loading_names_all_fields_that_are_not_understood_with_their_values(tmp_path):
    surplus = {"residual_multiplier": 0.22, "num_experts": 8}
    folder = tiny.write_hf_folder(tmp_path, **surplus)
    with pytest.raises(InputError) as error:
        loading.load(str(folder))
    assert "config.json" in str(error.value)
    assert "Llama" in str(error.value)
    for line in ("residual_multiplier=0.22", "num_experts=8"):
        assert f"\n  {line}\n" in str(error.value)


def test_unknown_fields_that_are_null_false_or_empty_pass_and_zero_does_not(tmp_path):
    off = {"use_mrope": False, "quantization_config": None, "pruned_heads": {}, "extra_layers": [], "note": ""}
    folder = tiny.write_hf_folder(tmp_path, **off)
    loading.load(str(folder))
    hf = HfConfig(off | {"shift": 0})
    assert hf.unused() == off | {"shift": 0}
    with pytest.raises(InputError, match="\n  shift=0\n"):
        hf.check_all_understood()


def test_fields_of_an_object_within_the_file_are_named_with_their_path():
    hf = HfConfig({"rope_parameters": {"full": {"theta": 1.0, "odd": 2.0}}, "other": {"a": 1}})
    assert hf["rope_parameters"]["full"]["theta"] == 1.0
    assert hf.unused() == {"rope_parameters.full.odd": 2.0, "other": {"a": 1}}
    with pytest.raises(InputError, match="rope_parameters: full lacks the setting 'gone'"):
        hf["rope_parameters"]["full"]["gone"]


def test_asking_whether_a_field_is_there_does_not_make_it_understood():
    hf = HfConfig({"a": 1})
    assert "a" in hf and "b" not in hf
    assert hf.unused() == {"a": 1}
    assert (hf.get("a"), hf.get("b", 5)) == (1, 5)
    assert hf.unused() == {}


def test_a_missing_field_is_named_with_its_file():
    with pytest.raises(InputError, match=r"x/config\.json lacks the setting 'n_embd'; download it again"):
        HfConfig({}, "x/config.json")["n_embd"]


def test_one_of_translates_takes_null_for_the_default_and_lists_what_is_supported():
    choices = {"gelu_new": "tanh", "relu": "relu"}
    assert HfConfig({"f": "relu"}).one_of("f", choices, "gelu_new") == "relu"
    assert HfConfig({"f": None}).one_of("f", choices, "gelu_new") == "tanh"
    assert HfConfig({}).one_of("f", choices, "gelu_new") == "tanh"
    for value in ("mish", ["relu"], {"relu": 1}):
        with pytest.raises(InputError, match="is not implemented for GPT-2; supported: gelu_new, relu"):
            HfConfig({"f": value}, family="GPT-2").one_of("f", choices, "gelu_new")


def test_require_takes_a_missing_field_for_the_required_value_unless_told_what_it_stands_for():
    for fields in ({}, {"f": 1}, {"f": None}):
        HfConfig(fields).require("f", 1)
    with pytest.raises(InputError, match="f=2 is not implemented for OPT; supported: 1"):
        HfConfig({"f": 2}, family="OPT").require("f", 1)
    with pytest.raises(InputError, match="f=2 is not implemented"):
        HfConfig({}).require("f", 1, default=2)


def test_of_keeps_the_record_and_names_the_family():
    hf = HfConfig({"model_type": "gpt2", "a": 1, "b": 2})
    assert hf.family == "gpt2"
    assert HfConfig.of(hf, "GPT-2") is hf
    assert hf.family == "GPT-2"
    assert HfConfig.of(json.loads('{"a": 1}'), "OPT").family == "OPT"


def test_an_ignored_field_is_understood():
    hf = HfConfig({"max_window_layers": 28, "sliding_window": 4096})
    hf.ignore("max_window_layers", "not_there")
    assert hf.unused() == {"sliding_window": 4096}


def test_more_heads_than_the_width_has_numbers_are_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path, "gpt2")
    (folder / "config.json").write_text(json.dumps(tiny.hf_config("gpt2", n_embd=2, n_head=4)))
    with pytest.raises(InputError, match="4 heads and 4 key-value heads of width 0 cannot be"):
        loading.outline(str(folder))
