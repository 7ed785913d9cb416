"""The schema: one place says every setting, and configs, checks and ids follow from it."""

import dataclasses

import pytest

from ipt_jax.configs import common
from ipt_jax.experiment import schema
from ipt_jax.setting import ABSENT, Leaf, Setting, leaves, problem


def test_a_config_has_every_setting_with_its_default_and_nothing_else():
    config = common.get_config()
    paths = {path: leaf for path, leaf in schema.walk() if leaf.setting.in_config}
    for path, leaf in paths.items():
        value = config
        for name in path:
            value = value[name]
        assert (value.to_dict() if isinstance(leaf.default, dict) else value) == leaf.default

    def places(section, path=()):
        for name, value in section.items():
            is_section = hasattr(value, "items") and (*path, name) not in paths
            yield from places(value, (*path, name)) if is_section else [(*path, name)]

    assert set(places(config)) == set(paths)


def test_every_default_may_stand_and_only_a_setting_that_may_not_matter_has_a_neutral_value():
    for path, leaf in schema.walk():
        assert problem(leaf, leaf.default) == "", path
        assert leaf.setting.meaning and not leaf.setting.meaning.endswith("."), path
        assert leaf.setting.matters or leaf.setting.neutral is ABSENT, path


def test_every_field_of_a_section_is_a_setting_or_a_section():
    def check(kind):
        own = {leaf.name for leaf in leaves(kind)}
        for field in dataclasses.fields(kind):
            assert field.name in own or dataclasses.is_dataclass(field.default_factory), (kind, field.name)
            if field.name not in own:
                check(field.default_factory)

    check(schema.Experiment)


@pytest.mark.parametrize(
    ("kind", "known", "value", "what"),
    [
        (int, {"least": 1}, 0, "must be at least 1"),
        (int, {}, True, "must be a whole number"),
        (int, {}, 1.0, "must be a whole number"),
        (float, {"above": 0}, 0.0, "must be positive"),
        (float, {}, float("nan"), "must be a finite number"),
        (float, {"least": 0, "below": 1}, 1.0, "must be at least 0 and less than 1"),
        (float, {"above": 0, "most": 1}, 1, ""),
        (bool, {}, 1, "must be True or False"),
        (str, {}, 3, "must be a text"),
        (str, {"choices": ("", "a")}, "b", "is unknown; choose one of nothing, a"),
        (bool | str, {"choices": (False, True, "never")}, 0, "is unknown; choose one of False, True, never"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_by_its_type_its_choices_and_its_range(kind, known, value, what):
    assert problem(Leaf("leaf", kind, None, Setting("", **known)), value) == what
