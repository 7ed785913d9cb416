"""Rope parameters of both formats, and what is refused by name."""

import pytest

from ipt_jax.errors import InputError
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.families.hf_rope import from_hf, translate

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def turn(**parameters):
    return translate(parameters, head_dim=16, max_positions=64, theta=10_000.0)


def test_the_formats_before_and_since_transformers_5_say_the_same():
    before = HfConfig({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}}, "the file")
    since = HfConfig({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}, "the file")
    assert from_hf(before, 16, 64) == from_hf(since, 16, 64)
    assert from_hf(before, 16, 64).theta == 5e5


def test_dynamic_scaling_is_none_within_the_models_positions():
    assert turn(rope_type="dynamic", factor=4.0).frequencies.tolist() == turn().frequencies.tolist()


def test_linear_scaling_divides_the_angles():
    halved = turn(rope_type="linear", factor=2.0).frequencies
    assert (halved * 2).tolist() == turn().frequencies.tolist()


def test_a_part_of_a_head_is_turned():
    assert turn(partial_rotary_factor=0.25).dim == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rope_type": "longrope"}, "rope_type='longrope' is not implemented; supported: default, dynamic"),
        ({"rope_type": "linear", "factor": 2.0, "beta": 1}, "have beta=1, which is not understood"),
        ({"rope_type": "llama3", "factor": 8.0}, "lack low_freq_factor, high_freq_factor"),
        ({"rope_type": "linear", "factor": -1.0}, "factor=-1.0, which cannot be"),
        ({"rope_type": "llama3", **LLAMA3, "low_freq_factor": 4.0}, "low_freq_factor"),
    ],
)
def test_what_is_not_built_or_cannot_be_is_named(parameters, message):
    with pytest.raises(InputError, match=message):
        turn(**parameters)
