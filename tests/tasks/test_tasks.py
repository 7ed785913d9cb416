"""Options of tasks: defaults, types, command lines, and mistakes."""

import pytest

from ipt_jax.errors import InputError
from ipt_jax.tasks import TASKS, get_task, parse_options, resolve_options
from ipt_jax.tasks.sample.task import Sample


class Switchable(Sample):
    name = "switchable"

    def __init__(self, data_dir=None, *, caption=True, order="given", threshold=0.5, width=3):
        super().__init__(data_dir)
        self.options = {"caption": caption, "order": order, "threshold": threshold, "width": width}


@pytest.fixture(autouse=True)
def switchable(monkeypatch):
    monkeypatch.setitem(TASKS, "switchable", Switchable)


def test_what_is_not_given_has_its_default():
    assert get_task("switchable").options == {"caption": True, "order": "given", "threshold": 0.5, "width": 3}
    assert get_task("switchable", width=4, caption=False).options["width"] == 4
    assert resolve_options("sample", {}) == {}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_holds_the_values_of_all_of_its_options(name):
    assert dict(get_task(name).options) == resolve_options(name, {})


def test_a_whole_number_serves_where_a_fraction_is_meant():
    assert resolve_options("switchable", {"threshold": 1})["threshold"] == 1.0


def test_texts_of_a_command_line_get_the_type_of_the_default():
    texts = ["caption=FALSE", "order=a=b", "threshold=0.25", "width=7"]
    assert parse_options("switchable", texts) == {"caption": False, "order": "a=b", "threshold": 0.25, "width": 7}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["caption"], "'caption' should be NAME=VALUE"),
        (["caption=maybe"], "'caption=maybe' needs a value of type bool, like True"),
        (["width=3.5"], "'width=3.5' needs a value of type int, like 3"),
        (["captoin=1"], "captoin='1' is not an option of task 'switchable'; did you mean 'caption'"),
    ],
)
def test_a_mistake_on_the_command_line_is_an_error_with_the_fix(texts, message):
    with pytest.raises(InputError, match=message):
        parse_options("switchable", texts)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_a_value_of_another_type_is_an_error(value):
    with pytest.raises(InputError, match=r"config\.task\.options\.caption=.* should be of type bool, like its default"):
        get_task("switchable", caption=value)
