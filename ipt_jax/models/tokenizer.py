"""Text to token ids and back: one small class over the `tokenizers` library, whatever file it was read from."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from ipt_jax.errors import InputError
from ipt_jax.models.chat_template import ChatTemplate, chat_template_of_folder, chat_template_of_gguf
from ipt_jax.models.families.hf_config import HfConfig
from ipt_jax.models.files.hf_folder import read_json
from ipt_jax.models.tokenizer_parts import (
    behind_a_token,
    byte_level_characters,
    first_of_template,
    puts_a_space,
    without_added_space,
)

# GGUF marks each token with a kind; these are the two that are matched whole instead of being merged from bytes.
_CONTROL, _USER_DEFINED = 3, 4

# How text is split before byte pairs are merged, by GGUF's `tokenizer.ggml.pre`. The file names the rule only, and a
# rule that is nearly right gives other tokens without any error, so only rules known exactly are here.
# smollm: the `tokenizer.json` of SmolLM2 on the Hugging Face hub.
GGUF_SPLITS = {
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}
# Tokens that end a text or a chat turn; a file may name only one of them as its end.
_END_NAMES = ("<|endoftext|>", "<|im_end|>")
# Added tokens of these alone stand for runs of white space (Gemma); no template marks anything with them.
_BLANKS = " \t\n\r\u2581"
# SentencePiece's spelling of a single byte that no piece contains.
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")


class Marker(NamedTuple):
    """A token that a chat template writes.

    Attributes:
      eats_left, eats_right: whether white space beside it is a part of it.
    """

    id: int
    text: str
    eats_left: bool = False
    eats_right: bool = False


class TextAround(NamedTuple):
    """Encoders of text at the very start, and of text behind a marker."""

    first: Tokenizer
    behind: Tokenizer


class Tokenizer:
    """Encodes without adding special tokens, decodes without cleaning up.

    Text is data: a control token's name inside it ("<|endoftext|>") is encoded as the characters it is written
    with, so no data file can end a sequence.

    Some tokenizers (Llama 2, Mistral) put a space before a text and take one off when decoding. That is right for
    a text of its own; one that goes on after another is for `continuation`. With "▁" for the space:

        tokenizer.encode("Output:")                 ▁ Output :
        tokenizer.encode("Output: The")             ▁ Output : ▁The
        tokenizer.encode(" The")                    ▁ ▁The        no way to go on after "Output:"
        tokenizer.continuation.encode(" The")       ▁The

    Attributes:
      bos_id: the token that the tokenizer's own template puts before a text, None where it puts none; the model
        expects it once, at the very start. `encode` never adds it, `encode_input` does.
      eos_ids: token ids that end a generation; the first is the one a target ends with.
      vocab_size: one more than the largest id. A model's embedding may have more rows, or fewer: see `within`.
      chat: the checkpoint's own chat template; None where it has none.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        eos_ids: Iterable[int],
        rows: int | None = None,
        chat: ChatTemplate | None = None,
    ):
        """
        Args:
          eos_ids, chat: see above.
          rows: of the model's embedding; None where it has one for every id.
        """
        backend.no_truncation()  # a tokenizer.json may carry both, and both would change texts silently
        backend.no_padding()
        backend.encode_special_tokens = True
        self._backend = backend
        self._vocabulary = backend.get_vocab(with_added_tokens=True)
        self._added = backend.get_added_tokens_decoder()
        self.vocab_size = max(self._vocabulary.values()) + 1
        self.eos_ids = tuple(dict.fromkeys(int(i) for i in eos_ids))
        self.bos_id = first_of_template(backend)
        self._rows = self.vocab_size if rows is None else rows
        self.chat = chat

    def within(self, rows: int, label: str) -> Tokenizer:
        """The same tokenizer for a model whose embedding has so many rows.

        Added tokens may lie past the last of them, as Gemma 3's image token does, or a [PAD] that was added without a
        row for it: they are refused where a text holds one.

        Args:
          label: the model, for messages.

        Raises:
          InputError: for other tokens past the last row, or for a BOS or end token there.
        """
        ordinary = max((i for i in self._vocabulary.values() if i not in self._added), default=-1)
        if ordinary >= rows:
            raise InputError(
                f"{label}: the tokenizer has ids up to {ordinary}, the model's embedding only {rows} rows; they are of "
                "different models"
            )
        for name, id in [("BOS", self.bos_id), *(("end token", id) for id in self.eos_ids)]:
            if id is not None and id >= rows:
                raise InputError(
                    f"{label}: the {name} {id} lies past the {rows} rows of the model's embedding; mend eos_token_id "
                    "in generation_config.json or config.json, or take the files of one model"
                )
        return self if self.vocab_size <= rows else Tokenizer(self._backend, self.eos_ids, rows, self.chat)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, nothing added.

        A byte that the vocabulary lacks is left out, as Hugging Face does: SmolLM2 has no token for six control
        characters, such as U+0004, nor for the unassigned planes 4 to 11.

        Raises:
          InputError: for text that is not valid Unicode, or that holds a token without a row in the embedding.
        """
        try:
            ids = self._backend.encode(text, add_special_tokens=False).ids
        except TypeError as error:
            raise InputError(f"text {text!r} has a lone surrogate and is not valid Unicode; mend the data") from error
        if self._rows < self.vocab_size and max(ids, default=0) >= self._rows:
            token = self._backend.id_to_token(max(ids))
            raise InputError(
                f"the text holds the token {token!r} ({max(ids)}), for which the model's embedding of {self._rows} "
                "rows has none; take it out of the data"
            )
        return ids

    def encode_input(self, text: str) -> list[int]:
        """Token ids of a whole input as the model expects it: `encode`, after the BOS where there is one."""
        return ([] if self.bos_id is None else [self.bos_id]) + self.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, special tokens left out. Bytes that are no UTF-8 become U+FFFD."""
        return self._backend.decode([int(i) for i in ids], skip_special_tokens=True)

    @functools.cached_property
    def continuation(self) -> Tokenizer:
        """The same tokenizer for text that goes on after other text: no space is put before it, none is taken off.

        `encode(a) + continuation.encode(b)` are the tokens of a + b wherever the tokenizer cuts between them, and
        `continuation.decode` gives generated tokens with their own first space. Itself where no space is put.
        """
        if not puts_a_space(self._backend):
            return self
        state = json.loads(self._backend.to_str())
        for part in ("normalizer", "pre_tokenizer", "decoder"):
            state[part] = without_added_space(state[part])
        return Tokenizer(_rebuilt(state), self.eos_ids, self._rows)

    def markers(self, template: str) -> dict[str, Marker]:
        """The tokens that a chat template's own text may name: every special one, and those that it spells itself."""
        return {
            token.content: Marker(id, token.content, token.lstrip, token.rstrip)
            for id, token in self._added.items()
            if token.special or (token.content in template and token.content.strip(_BLANKS))
        }

    def around(self, markers: Mapping[str, Marker]) -> TextAround:
        """Encoders for what stands around `markers`; a marker's characters in it are characters."""
        state = json.loads(self._backend.to_str())
        for token in state["added_tokens"]:
            token["special"] = token["special"] or token["content"] in markers
        first = Tokenizer(_rebuilt(state), self.eos_ids, self._rows)
        state["pre_tokenizer"] = behind_a_token(state["pre_tokenizer"])
        behind = Tokenizer(_rebuilt(state), self.eos_ids, self._rows)
        return TextAround(first, behind)

    def ordinary_ids(self) -> np.ndarray:
        """i32[n], sorted: every id of the model that stands for text, so neither a special token nor an end."""
        special = {i for i, token in self._added.items() if token.special} | set(self.eos_ids)
        ordinary = {i for i in self._vocabulary.values() if i < self._rows} - special
        return np.array(sorted(ordinary), np.int32)

    def pieces_containing(self, substring: str) -> np.ndarray:
        """i32[n], sorted: ids of all ordinary tokens whose bytes contain those of `substring`.

        With "\\n", a decoder can stop at the first token that has a newline anywhere in it.
        """
        wanted = substring.encode()
        found = [index for index, content in enumerate(self.token_bytes) if wanted in content]
        return np.intersect1d(np.array(found, np.int32), self.ordinary_ids())

    @functools.cached_property
    def token_bytes(self) -> list[bytes]:
        """What each id adds to a text, in bytes of UTF-8; nothing for special tokens and for ids that no token has.

        Taken from the vocabulary's own spelling: no token is decoded, so parts of a character stay what they are.
        """
        byte_level = "ByteLevel" in repr(self._backend.decoder)
        characters = byte_level_characters() if byte_level else {}
        found = [b""] * self.vocab_size
        for piece, index in self._vocabulary.items():
            added = self._added.get(index)
            byte = None if byte_level else _BYTE_PIECE.fullmatch(piece)
            if added is not None:  # spelled as they are written; special ones are left out of a text
                found[index] = b"" if added.special else piece.encode()
            elif byte:
                found[index] = bytes.fromhex(byte[1])
            elif byte_level:
                found[index] = b"".join(characters.get(c) or c.encode() for c in piece)
            else:
                found[index] = piece.replace("\u2581", " ").encode()
        return found

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the ids; for keys of caches."""
        content = json.dumps([json.loads(self._backend.to_str()), self.eos_ids], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _rebuilt(state: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """The tokenizer that a changed tokenizer.json describes."""
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(state))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"the tokenizer's vocabulary and merges do not fit ({error}); download it again") from error


def from_gguf(fields: Mapping[str, Any], label: str) -> Tokenizer:
    """Builds the tokenizer that a GGUF file describes in its metadata.

    Args:
      fields: the file's metadata.
      label: the file, for messages.

    Raises:
      InputError: for a kind of tokenizer or a splitting rule that is not known exactly.
    """
    fields = HfConfig(fields, label)
    kind, split = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    if kind != "gpt2" or not isinstance(split, str) or split not in GGUF_SPLITS:
        raise InputError(
            f"{label}: its tokenizer (tokenizer.ggml.model={kind!r}, tokenizer.ggml.pre={split!r}) is not known; "
            f"supported: 'gpt2' with {', '.join(map(repr, GGUF_SPLITS))}. Use the model's Hugging Face folder instead"
        )
    tokens, merges = (fields.many(f"tokenizer.ggml.{name}", str) for name in ("tokens", "merges"))
    kinds = fields.many("tokenizer.ggml.token_type", int)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if not tokens or len(kinds) != len(tokens):
        raise InputError(f"{label} has {len(tokens)} tokens and kinds of {len(kinds)}; download it again")
    try:
        backend = tokenizers.Tokenizer(models.BPE(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{label}: its tokens and merges make no tokenizer ({error}); download it again") from error
    backend.pre_tokenizer = GGUF_SPLITS[split]
    backend.decoder = decoders.ByteLevel()
    control = [tokens[i] for i, token_kind in enumerate(kinds) if token_kind == _CONTROL]
    whole = [tokens[i] for i, token_kind in enumerate(kinds) if token_kind == _USER_DEFINED]
    backend.add_special_tokens([tokenizers.AddedToken(token, special=True, normalized=False) for token in control])
    backend.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in whole])
    last = len(tokens) - 1
    if fields.flag("tokenizer.ggml.add_bos_token", False):
        first = fields.whole("tokenizer.ggml.bos_token_id", least=0, most=last)
        backend.post_processor = processors.TemplateProcessing(
            single=f"{tokens[first]} $A", special_tokens=[(tokens[first], first)]
        )
    named = [vocabulary[name] for name in _END_NAMES if name in control]
    ends = [fields.whole("tokenizer.ggml.eos_token_id", least=0, most=last), *named]
    return Tokenizer(backend, ends, chat=chat_template_of_gguf(fields, tokens, label))


def from_folder(folder: Path) -> Tokenizer:
    """Reads the tokenizer of a Hugging Face folder.

    `tokenizer.json` is taken as it stands. transformers 5 rebuilds some classes from the vocabulary instead and
    loses their splitting rule (SmolLM2's digits), so it serves only folders that have no such file.

    Raises:
      InputError: naming the files, if no tokenizer can be read or nothing says which token ends a text.
    """
    path = folder / "tokenizer.json"
    settings = read_json(folder / "tokenizer_config.json")
    if path.exists():
        try:
            backend = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(f"{path} is no tokenizer ({error}); download it again") from error
        end = settings.get("eos_token")
        end = end.get("content", 0) if isinstance(end, dict) else end
        if not isinstance(end, str | None):
            raise InputError(
                f"{folder / 'tokenizer_config.json'}: eos_token={settings['eos_token']!r} is neither a text nor an "
                "object with its content; download it again"
            )
        ends = [backend.token_to_id(end)] if end is not None else []
        if ends == [None]:
            raise InputError(f"{path} lacks eos_token {end!r} of tokenizer_config.json; they are of different models")
    else:
        backend, ends = _from_vocabulary_files(folder)
    for name in ("generation_config.json", "config.json"):
        listed = read_json(folder / name).get("eos_token_id")
        ids = [] if listed is None else listed if isinstance(listed, list) else [listed]
        if not all(type(id) is int and id >= 0 for id in ids):
            raise InputError(
                f"{folder / name}: eos_token_id={listed!r} is neither an id nor a list of ids; download it again"
            )
        ends += ids
    ends = [id for id in ends if id is not None]
    if not ends:
        raise InputError(
            f"{folder}: nothing names the token that ends a text; set eos_token in tokenizer_config.json "
            "or eos_token_id in config.json"
        )
    return Tokenizer(backend, ends, chat=chat_template_of_folder(folder))


def _from_vocabulary_files(folder: Path) -> tuple[tokenizers.Tokenizer, list[int | None]]:
    """The tokenizer of a folder with older files (vocab.json and merges.txt, tokenizer.model), as transformers does."""
    advice = "put the model's tokenizer.json there"
    byte_pairs = [folder / "vocab.json", folder / "merges.txt"]
    sentencepiece = folder / "tokenizer.model"
    if not sentencepiece.exists() and not all(path.exists() for path in byte_pairs):
        # transformers would make a tokenizer of a handful of special tokens and say nothing.
        raise InputError(f"{folder} has no tokenizer.json, nor vocab.json with merges.txt; {advice}")
    if sentencepiece.exists():
        advice += ", or run: pip install sentencepiece protobuf"
    from transformers import AutoTokenizer  # a second of import, and needed by few folders

    try:
        converted = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        backend = converted.backend_tokenizer
    except Exception as error:  # the libraries raise nothing narrower
        raise InputError(
            f"{folder} has no tokenizer.json, and no tokenizer could be made of its other files ({error}); {advice}"
        ) from error
    if not sentencepiece.exists():
        _refuse_invented_tokens(folder, backend)
    return backend, [converted.eos_token_id]


def _refuse_invented_tokens(folder: Path, backend: tokenizers.Tokenizer) -> None:
    """Refuses tokens that no file of the folder names.

    Where tokenizer_config.json is missing, transformers takes its class's own special tokens and gives them new
    ids: OPT would end its texts with an <|endoftext|> that it never saw, and lose its BOS.
    """
    names = ("vocab.json", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json")
    named = "".join(json.dumps(read_json(folder / name), ensure_ascii=False) for name in names)
    added = [token.content for token in backend.get_added_tokens_decoder().values()]
    invented = [content for content in added if json.dumps(content, ensure_ascii=False) not in named]
    if invented:
        raise InputError(
            f"{folder}: transformers adds the tokens {', '.join(invented)}, which none of {', '.join(names)} there "
            "names; put the model's tokenizer_config.json there"
        )
