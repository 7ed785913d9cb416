"""What is Gemma's own: scaled embeddings, softcaps, and layers that take turns in what they see."""

import tiny

from ipt_jax.models.families import gemma

FIELDS = {**tiny.hf_config("llama"), "hidden_activation": "gelu_pytorch_tanh", "num_hidden_layers": 7}
FIELDS = {name: value for name, value in FIELDS.items() if name != "hidden_act"} | {"max_position_embeddings": 64}
SECOND, THIRD = {**FIELDS, "model_type": "gemma2"}, {**FIELDS, "model_type": "gemma3_text"}


def test_every_second_layer_of_gemma_2_and_five_of_six_of_gemma_3_have_a_window():
    second = gemma.config_from_hf({**SECOND, "sliding_window": 8})
    assert second.windows == (8, None, 8, None, 8, None, 8)
    third = gemma.config_from_hf({**THIRD, "sliding_window": 8})
    assert third.windows == (8, 8, 8, 8, 8, None, 8)


def test_gemma_3_turns_layers_with_a_window_by_angles_of_their_own():
    config = gemma.config_from_hf({**THIRD, "sliding_window": 8, "rope_theta": 1e6, "rope_local_base_freq": 1e4})
    assert config.rotary_of_layer == (1, 1, 1, 1, 1, 0, 1)
    assert [rotary.theta for rotary in config.rotaries] == [1e6, 1e4]


def test_softcaps_are_those_of_the_release_unless_null():
    config = gemma.config_from_hf(SECOND)
    assert (config.score_softcap, config.logit_softcap) == (50.0, 30.0)
    uncapped = gemma.config_from_hf({**SECOND, "attn_logit_softcapping": None})
    assert (uncapped.score_softcap, uncapped.logit_softcap) == (None, 30.0)
    assert gemma.config_from_hf(THIRD).score_softcap is None


def test_embeddings_are_scaled_by_the_root_of_the_width_and_norms_by_one_more_than_is_stored():
    config = gemma.config_from_hf(SECOND)
    assert config.embedding_scale == 32**0.5
    assert config.norm_unit_offset and config.residual == "sandwich"


def test_scores_are_scaled_by_what_the_file_says_and_not_by_the_heads_width():
    assert gemma.config_from_hf({**SECOND, "query_pre_attn_scalar": 64}).score_scales == (0.125,) * 7
