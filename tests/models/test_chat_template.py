"""A checkpoint's own chat template: where it is kept, and what it may do."""

import json

import pytest

from ipt_jax.errors import InputError
from ipt_jax.models.chat_template import ChatTemplate, chat_template_of_folder, chat_template_of_gguf


def test_a_template_that_is_none_is_an_input_error():
    with pytest.raises(InputError, match="the chat template refuses the turns user"):
        ChatTemplate("{% if").render([("user", "x")], open_answer=True)


def test_a_template_cannot_leave_its_sandbox():
    with pytest.raises(InputError, match="refuses"):
        ChatTemplate("{{ ''.__class__.__mro__[1].__subclasses__() }}").render([("user", "x")], open_answer=True)


def test_a_template_is_told_the_same_day_always():
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }} {{ date_string }}")
    assert template.render([("user", "x")], open_answer=True) == "26 Jul 2024 26 Jul 2024"


MODEL = "the model"


def folder_with(tmp_path, settings, **files):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    for name, content in files.items():
        (tmp_path / name.replace("_json", ".json").replace("_jinja", ".jinja")).write_text(content)
    return tmp_path


def test_a_template_of_its_own_file_goes_before_that_of_the_settings(tmp_path):
    settings = {"chat_template": "old", "bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": None}
    found = chat_template_of_folder(folder_with(tmp_path, settings))
    assert (found.text, found.special) == ("old", (("bos_token", "<s>"), ("eos_token", "</s>")))
    assert (
        chat_template_of_folder(folder_with(tmp_path, settings, chat_template_json='{"chat_template": "mid"}')).text
        == "mid"
    )
    assert chat_template_of_folder(folder_with(tmp_path, settings, chat_template_jinja="new")).text == "new"


def test_a_file_that_is_no_text_is_an_input_error(tmp_path):
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"chat_template\.jinja cannot be read .*; download it again"):
        chat_template_of_folder(tmp_path)


def test_of_several_named_templates_the_default_is_taken(tmp_path):
    named = [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]
    assert chat_template_of_folder(folder_with(tmp_path, {"chat_template": named})).text == "b"
    assert chat_template_of_folder(folder_with(tmp_path, {"chat_template": named[:1]})) is None


def test_a_model_may_have_none(tmp_path):
    assert chat_template_of_folder(folder_with(tmp_path, {})) is None
    assert chat_template_of_gguf({}, [], MODEL) is None


def test_what_is_no_text_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer_config\.json: its chat_template is int instead of a text"):
        chat_template_of_folder(folder_with(tmp_path, {"chat_template": 3}))


def test_a_gguf_file_names_its_tokens_by_their_ids():
    fields = {"tokenizer.chat_template": "x", "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 9}
    found = chat_template_of_gguf(fields, ["a", "<s>"], MODEL)
    assert (found.text, found.special, found.label) == ("x", (("bos_token", "<s>"),), "the chat template of the model")
