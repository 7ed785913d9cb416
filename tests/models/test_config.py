"""What layers of one model may differ in, and the activations by their names."""

import dataclasses
import math

import numpy as np
import pytest
from tiny import hf_config
from tolerances import ELEMENTARY, close

from ipt_jax.models.config import ACTIVATIONS, LayerTraits
from ipt_jax.models.families import llama

CONFIG = llama.config_from_hf(hf_config("llama"))


def test_layers_that_say_nothing_are_alike():
    assert CONFIG.traits() == (LayerTraits(8**-0.5, None, 0),) * 2


def test_a_window_over_all_positions_is_none():
    windowed = dataclasses.replace(CONFIG, windows=(CONFIG.max_positions, CONFIG.max_positions - 1))
    assert [traits.window for traits in windowed.traits()] == [None, CONFIG.max_positions - 1]


def test_each_layer_has_its_own_scale_and_turn():
    own = dataclasses.replace(CONFIG, score_scales=(0.5, 0.25), rotary_of_layer=(1, 0))
    assert own.traits() == (LayerTraits(0.5, None, 1), LayerTraits(0.25, None, 0))


def test_as_many_windows_as_layers_are_wanted():
    with pytest.raises(ValueError):
        dataclasses.replace(CONFIG, windows=(4,)).traits()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gelu", lambda x: x * 0.5 * (1 + math.erf(x / 2**0.5))),
        ("gelu_new", lambda x: 0.5 * x * (1 + math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("relu", lambda x: max(x, 0.0)),
        ("silu", lambda x: x / (1 + math.exp(-x))),
    ],
)
def test_an_activation_is_the_function_of_its_name(name, expected):
    x = np.linspace(-4, 4, 17).astype(np.float32)
    close(ACTIVATIONS[name](x), np.array([expected(float(each)) for each in x]), ELEMENTARY)
