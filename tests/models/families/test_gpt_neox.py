"""What is GPT-NeoX's own: parts of a block side by side, and heads of which a quarter is turned."""

from ipt_jax.models.families import gpt_neox

FIELDS = {"model_type": "gpt_neox", "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2}
FIELDS |= {"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}


def test_attention_and_feed_forward_stand_side_by_side_unless_the_file_says_otherwise():
    assert gpt_neox.config_from_hf(FIELDS).residual == "parallel"
    assert gpt_neox.config_from_hf({**FIELDS, "use_parallel_residual": False}).residual == "pre_norm"


def test_a_quarter_of_a_head_is_turned_unless_the_file_says_how_much():
    assert gpt_neox.config_from_hf(FIELDS).rotaries[0].dim == 4
    assert gpt_neox.config_from_hf({**FIELDS, "rotary_pct": 0.5}).rotaries[0].dim == 8


def test_the_head_is_the_models_own():
    config = gpt_neox.config_from_hf(FIELDS)
    assert not config.tied_head
    assert "embed_out.weight" in {row.source for row in gpt_neox.hf_weights(config)}


def test_biases_of_attention_may_be_missing():
    config = gpt_neox.config_from_hf({**FIELDS, "attention_bias": False})
    assert (config.qkv_bias, config.out_bias, config.mlp_bias) == (False, False, True)
