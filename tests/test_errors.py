"""Messages that repeat what somebody else wrote: shortened, and without control characters."""

import pytest

from ipt_jax.errors import InputError


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_long_value_is_cut_in_its_middle_and_the_rest_of_the_message_stays(quote):
    value = "begin" + "x" * 10_000 + "end"
    message = str(InputError(f"it doesn't fit: config.leaf={quote}{value}{quote} must be short; don't"))
    assert message.startswith("it doesn't fit: config.leaf=") and message.endswith("must be short; don't")
    assert "begin" in message and "end" in message and len(message) < 500


def test_control_characters_are_written_as_escapes_and_letters_of_any_script_stay():
    assert str(InputError("\x1b[2J\x07 Grüße, 你好\n\tb")) == "\\x1b[2J\\x07 Grüße, 你好\n\tb"


@pytest.mark.parametrize("text", ["'" + "\\'" * 50_000, "'a" * 50_000, "'\\" * 50_000, "\x00" * 100_000])
def test_a_hostile_message_takes_no_time(text):
    assert len(str(InputError(text))) < 21_000


def test_a_list_of_many_names_is_whole():
    names = ", ".join(repr(f"model.layers.{i}.mlp.up_proj.weight") for i in range(200))
    assert str(InputError(f"missing: {names}")) == f"missing: {names}"
