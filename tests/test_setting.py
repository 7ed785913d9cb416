"""A setting said once: what may stand there, and how that is said."""

import dataclasses

import numpy as np
import pytest

from ipt_jax.setting import Setting, bounds, is_whole, leaves, problem, setting


@dataclasses.dataclass
class Section:
    steps: int = setting(5, "how many", least=1)
    rate: float = setting(0.1, "how fast", above=0, below=1)
    kind: str = setting("a", "which", choices=("a", "b"))
    own: str = setting("a", "which, or one's own", choices=("a",), own_parts=True)
    name: str = setting("", "any text")
    on: bool = setting(True, "whether")
    options: dict = setting({"x": 1}, "more")
    plain: int = 3


LEAVES = {leaf.name: leaf for leaf in leaves(Section)}


def test_only_fields_with_a_meaning_are_settings_in_their_order():
    assert list(LEAVES) == ["steps", "rate", "kind", "own", "name", "on", "options"]
    assert (LEAVES["steps"].default, LEAVES["steps"].kind) == (5, int)


def test_a_section_as_default_is_made_anew_for_each():
    one, other = Section(), Section()
    one.options["x"] = 2
    assert other.options == {"x": 1} == LEAVES["options"].default


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("steps", 0, "must be at least 1"),
        ("steps", 2.0, "must be a whole number"),
        ("steps", True, "must be a whole number"),
        ("rate", 0.0, "must be above 0 and less than 1"),
        ("rate", 1.0, "must be above 0 and less than 1"),
        ("rate", float("nan"), "must be a finite number"),
        ("rate", 10**400, "must be a finite number"),
        ("rate", "0.1", "must be a finite number"),
        ("kind", "c", "is unknown; choose one of a, b"),
        ("own", 3, "must be a text"),
        ("name", None, "must be a text"),
        ("on", 1, "must be True or False"),
        ("options", [1], "must be a section"),
    ],
)
def test_a_value_that_may_not_stand_there_is_told_with_what_may(name, value, said):
    assert problem(LEAVES[name], value) == said


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", np.int64(3)), ("rate", np.float32(0.5)), ("rate", 0.999), ("kind", "b"), ("own", "m:o"), ("on", False)],
)
def test_a_value_that_may_stand_there_is_no_problem(name, value):
    assert problem(LEAVES[name], value) == ""


def test_one_is_not_true():
    """A choice is compared with its type."""
    leaf = LEAVES["kind"]._replace(kind=object, setting=Setting("", choices=(False, "never")))
    assert problem(leaf, False) == problem(leaf, "never") == ""
    assert problem(leaf, 0) == "is unknown; choose one of False, never"


def test_ranges_are_said_in_words():
    assert bounds(Setting("", above=0)) == "positive"
    assert bounds(Setting("", least=0, most=1)) == "at least 0 and at most 1"
    assert bounds(Setting("")) == ""


def test_whole_numbers_are_those_of_numpy_too_and_no_truth_values():
    assert [is_whole(value) for value in (3, np.int32(3), 3.0, True, "3")] == [True, True, False, False, False]
