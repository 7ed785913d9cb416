"""What every kind of adapter promises, each tried by the same tests."""

import jax
import pytest
from ml_collections import FrozenConfigDict
from tiny import tiny_lm
from tolerances import ELEMENTARY, close

from ipt_jax.adapters.kinds import KINDS, kind_of
from ipt_jax.configs import common
from ipt_jax.experiment.expand import expand

LM = tiny_lm("llama")


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def settings_of(kind, **more):
    """A run's settings, with an adapter of this kind."""
    config = common.get_config()
    config.adapter.kind, config.adapter.rank = kind.name, 2
    config.layout.prompt_tokens = 3 if kind.at_positions else 0
    config.prompt.hidden, config.training.steps = 4, 2
    config.update(more)
    ((_, settings),) = expand(config)
    return FrozenConfigDict(settings)


def test_settings_name_their_kind(kind):
    assert kind_of(settings_of(kind)) is kind
    assert kind.present(settings_of(kind).to_dict())


def test_settings_without_an_adapter_are_of_a_soft_prompt_that_is_not_there():
    ((_, settings),) = expand(common.get_config())
    assert kind_of(settings).name == "prompt"
    assert not kind_of(settings).present(settings)


def test_what_is_folded_has_a_leading_member_axis_and_the_shapes_that_are_promised(kind):
    settings = settings_of(kind)
    starts = [kind.start(LM, settings, lambda: []) for _ in range(2)]
    adapter, params = kind.create(starts, settings, [0, 1])
    folded, promised = adapter.fold(params), kind.shapes(settings, LM.decoder.config)
    named = folded if isinstance(folded, dict) else {"": folded}
    assert {name: array.shape for name, array in named.items()} == {n: (2, *shape) for n, shape in promised.items()}
    assert all(len(leaf) == 2 for leaf in jax.tree.leaves(params))


def test_training_starts_from_what_it_starts_from(kind):
    settings = settings_of(kind)
    start = kind.start(LM, settings, lambda: [])
    adapter, params = kind.create([start], settings, [0])
    for ours, given in zip(jax.tree.leaves(adapter.fold(params)), jax.tree.leaves(start), strict=True):
        close(ours[0], given, ELEMENTARY)


def test_what_is_injected_is_of_all_members_and_stands_where_it_says(kind):
    settings = settings_of(kind)
    starts = [kind.start(LM, settings, lambda: []) for _ in range(2)]
    adapter, params = kind.create(starts, settings, [0, 1])
    injection = kind.inject(adapter.fold(params))
    assert injection.positions == (3 if kind.at_positions else 0)
    assert {len(leaf) for leaf in jax.tree.leaves(injection)} == {2}


def test_numbers_are_those_that_are_trained_without_an_mlp(kind):
    settings = settings_of(kind, prompt={"reparameterisation": "none"})
    start = kind.start(LM, settings, lambda: [])
    _, params = kind.create([start], settings, [0])
    assert kind.numbers(settings, LM.decoder.config) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_each_kind_is_known_by_its_own_name(kind):
    assert KINDS[kind.name] is kind
    assert kind.title and kind.check(settings_of(kind), LM.decoder.config) is None
