"""A checkpoint's own chat template: where its files keep it, and what it makes of a conversation."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from ipt_jax.errors import InputError
from ipt_jax.models.files.hf_folder import read_json

# Templates that write today's date would make other rows every day; Llama 3's own default is this one. transformers
# gives templates a function that says the date, which one written in the template's own language stands before.
_DATE = datetime.datetime(2024, 7, 26)
_CODES = "".join(f" | replace('%{code}', '{_DATE.strftime('%' + code)}')" for code in "YymBbdAaHMS")
_SAME_DAY = "{%- macro strftime_now(format) -%}{{- format" + _CODES + " -}}{%- endmacro -%}"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_FILE, _OLDER_FILE = "chat_template.jinja", "chat_template.json"


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template as transformers renders it.

    Attributes:
      text: the template.
      special: the names of special tokens that it may write, such as ("bos_token", "<s>").
      label: where it is from, for messages.
    """

    text: str
    special: tuple[tuple[str, str], ...] = ()
    label: str = "the chat template"

    def render(self, turns: Sequence[tuple[str, str]], *, open_answer: bool) -> str:
        """The text of a conversation, by transformers' `apply_chat_template` in its sandbox, without thinking.

        A template that asks for the date is told 26 July 2024, so that a row is the same on every day.

        Args:
          turns: (role, content); roles are system, user and assistant.
          open_answer: whether the text ends where the assistant's answer begins.

        Raises:
          InputError: the template is no template, or refuses the conversation (Gemma 2 knows no system turn).
        """
        asks = "strftime_now" in self.text
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return _renderer(self.special).apply_chat_template(
                messages,
                chat_template=_SAME_DAY + self.text if asks else self.text,
                tokenize=False,
                add_generation_prompt=open_answer,
                enable_thinking=False,
                date_string=_DATE.strftime("%d %b %Y"),
            )
        except Exception as error:  # Jinja's errors, and whatever a template's own expressions raise
            roles = ", ".join(role for role, _ in turns)
            raise InputError(f"{self.label} refuses the turns {roles}: {error}") from error


@functools.lru_cache(maxsize=8)
def _renderer(special: tuple[tuple[str, str], ...]) -> Any:
    """transformers' interface to templates; its vocabulary is empty, as it only writes text here."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # it says at import that torch is not there
    from transformers import PreTrainedTokenizerFast  # a second of import, and needed by chats alone

    empty = tokenizers.Tokenizer(tokenizers.models.BPE())
    return PreTrainedTokenizerFast(tokenizer_object=empty, **dict(special))


def chat_template_of_folder(folder: Path) -> ChatTemplate | None:
    """The template of a Hugging Face folder; None where it has none. Of several named ones the one called default."""
    settings = read_json(folder / "tokenizer_config.json")
    text, path = settings.get("chat_template"), folder / "tokenizer_config.json"
    if (folder / _FILE).is_file():
        text, path = _text_of(folder / _FILE), folder / _FILE
    elif (folder / _OLDER_FILE).is_file():
        text, path = read_json(folder / _OLDER_FILE).get("chat_template"), folder / _OLDER_FILE
    if isinstance(text, list):
        named = {each.get("name"): each.get("template") for each in text if isinstance(each, Mapping)}
        text = named.get("default")
    if text is None:
        return None
    if not isinstance(text, str):
        raise InputError(f"{path}: its chat_template is {type(text).__name__} instead of a text; download it again")
    special = []
    for name in _SPECIAL:
        token = settings.get(name)
        token = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(token, str):
            special.append((name, token))
    return ChatTemplate(text, tuple(special), f"the chat template of {path}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); download it again") from error


def chat_template_of_gguf(fields: Mapping[str, Any], tokens: Sequence[str], label: str) -> ChatTemplate | None:
    """The template in a GGUF file's metadata; None where it has none."""
    text = fields.get("tokenizer.chat_template")
    if not isinstance(text, str):
        return None
    places = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    special = []
    for name, place in places.items():
        id = fields.get(f"tokenizer.ggml.{place}_token_id")
        if type(id) is int and 0 <= id < len(tokens):
            special.append((name, tokens[id]))
    return ChatTemplate(text, tuple(special), f"the chat template of {label}")
