"""Rotary position embedding: what its scaling kinds do to frequencies, and which settings are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import ATTENTION, ELEMENTARY, close

from ipt_jax.errors import InputError
from ipt_jax.models import rope
from ipt_jax.models.families import hf_rope
from ipt_jax.models.rope import Rotary

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def translate(parameters, **settings):
    return hf_rope.translate(parameters, **{"head_dim": 16, "max_positions": 64, "theta": 100.0} | settings)


def test_without_scaling_frequencies_fall_geometrically_from_one():
    frequencies = translate({}).frequencies
    expected = 100.0 ** -(np.arange(8) / 8)
    close(frequencies, expected, ELEMENTARY, scale=expected)


def test_within_the_models_positions_dynamic_scaling_is_none():
    assert translate({"rope_type": "dynamic", "factor": 4.0}) == translate({})


def test_linear_scaling_slows_everything_down():
    slowed = translate({"type": "linear", "factor": 4.0})
    expected = translate({}).frequencies / 4
    close(slowed.frequencies, expected, ELEMENTARY, scale=expected)


def test_llama3_scaling_keeps_quick_turns_and_slows_slow_ones():
    plain, scaled = translate({}), translate(LLAMA3 | {"original_max_position_embeddings": 32})
    turns = 32 * plain.frequencies / (2 * np.pi)
    ratio = scaled.frequencies / plain.frequencies
    close(ratio[turns > 4], np.ones((turns > 4).sum()), ELEMENTARY)
    close(ratio[turns < 1], np.full((turns < 1).sum(), 1 / 8), ELEMENTARY)
    assert (np.diff(ratio) <= 0).all() and ((ratio > 1 / 8) & (ratio < 1)).any()


def test_yarn_scaling_keeps_quick_turns_slows_slow_ones_and_stretches_lengths():
    yarn = translate({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})
    ratio = yarn.frequencies / translate({}).frequencies
    close(ratio[-1], 1 / 4, ELEMENTARY)
    close(yarn.magnitude, 0.1 * np.log(4) + 1, ELEMENTARY)
    assert (np.diff(ratio) <= 0).all()


@pytest.mark.parametrize(
    ("settings", "magnitude"),
    [
        ({"attention_factor": 1.25}, 1.25),
        ({"mscale": 1.0, "mscale_all_dim": 1.0}, 1.0),
        ({"mscale": 0.5}, 0.1 * np.log(4) + 1),
        ({"factor": 0.5}, 1.0),
    ],
)
def test_yarns_magnitude_follows_its_settings(settings, magnitude):
    close(translate({"rope_type": "yarn", "factor": 4.0} | settings).magnitude, magnitude, ELEMENTARY)


def test_yarn_without_a_factor_takes_the_ratio_of_positions():
    given = translate({"rope_type": "yarn", "original_max_position_embeddings": 16})
    expected = translate({"rope_type": "yarn", "original_max_position_embeddings": 16, "factor": 4.0}).frequencies
    close(given.frequencies, expected, ELEMENTARY, scale=expected)


def test_a_partial_turn_leaves_the_rest_of_the_head_alone():
    rotary = translate({}, partial=0.25)
    x = jax.random.normal(jax.random.key(0), (5, 3, 16))
    turned = rope.rotate(x, rotary.angles(jnp.arange(5)))
    np.testing.assert_array_equal(turned[..., 4:], x[..., 4:])
    assert (np.abs(turned[1:, :, :4] - x[1:, :, :4]).max(axis=(1, 2)) > 1e-3).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rope_type": "longrope", "factor": 2.0}, "rope_type='longrope' is not implemented; supported: default"),
        ({"rope_type": "linear"}, "lack factor"),
        (LLAMA3 | {"factor": None}, "lack factor"),
        ({"rope_type": "linear", "factor": 2.0, "short_factor": [1]}, r"short_factor=\[1\], which is not understood"),
    ],
)
def test_what_is_not_built_is_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        translate(parameters)


def test_rotation_keeps_lengths_and_depends_on_distances_only():
    query, key = jax.random.normal(jax.random.key(0), (2, 1, 8))

    def score(query_position, key_position):
        turned = [
            rope.rotate(x, Rotary(dim=8, theta=100.0).angles(jnp.array(position)))
            for x, position in ((query, query_position), (key, key_position))
        ]
        close(jnp.linalg.norm(turned[0]), jnp.linalg.norm(query), ATTENTION)
        return float(jnp.vdot(*turned))

    close(score(9, 4), score(5, 0), ATTENTION, scale=float(jnp.linalg.norm(query) * jnp.linalg.norm(key)))
    assert score(9, 4) != pytest.approx(score(9, 5), rel=1e-2)
