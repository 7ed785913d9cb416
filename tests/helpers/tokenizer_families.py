"""Tiny tokenizer folders, one for each family: its real splitting rule, template and special tokens, few merges.

The rules are those of the `tokenizer.json` files that the families were released with; only the vocabularies are
cut down to single bytes (or characters) and a dozen merges. Some merges reach over a place where the family's rule
cuts, such as ": ", so that a rule that is lost shows in the tokens.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

_BYTE_MERGES = [
    *[("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ċ", "Ċ"), ("t", "Ċ"), ("I", "n"), ("p", "u"), ("pu", "t")],
    *[(":", "Ġ"), (":", "Ċ"), ("Ġ", "Ġ"), ("2", "0"), ("20", "2"), ("'", "s"), (",", "Ġ"), ("e", "Ġ")],
]
_PIECE_MERGES = [
    *[("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "▁"), ("I", "n"), ("p", "u"), ("pu", "t"), ("▁", "In")],
    *[("'", "s"), (".", ".")],
]
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA_3, _QWEN = (_CONTRACTIONS + digits + _REST for digits in (r"\p{N}{1,3}", r"\p{N}"))
_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


@dataclasses.dataclass(frozen=True)
class Family:
    """A tokenizer as a family releases it.

    Attributes:
      backend: what its tokenizer.json holds.
      config, tokenizer_config, generation_config: the other files, as far as they concern tokens.
      bos: the token before a text, None where there is none.
      ends: the tokens that end a text or a turn, in the order expected of `eos_ids`.
      composes: whether texts are brought to Unicode's composed form, NFC.
      older_files: whether vocab.json and merges.txt make the same tokenizer.
    """

    backend: Tokenizer
    config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    generation_config: dict[str, Any]
    bos: str | None
    ends: tuple[str, ...]
    composes: bool = False
    older_files: bool = False

    def ids(self, *pieces: str) -> tuple[int, ...]:
        return tuple(self.backend.token_to_id(piece) for piece in pieces)

    def write(self, folder: Path, older_files: bool = False) -> Path:
        """Writes the folder, with vocab.json and merges.txt in place of tokenizer.json if asked to."""
        folder.mkdir(parents=True, exist_ok=True)
        if older_files:
            self.backend.model.save(str(folder))
        else:
            self.backend.save(str(folder / "tokenizer.json"))
        for name in ("config", "tokenizer_config", "generation_config"):
            (folder / f"{name}.json").write_text(json.dumps(getattr(self, name)))
        return folder


def _byte_level(split: Any, first: Sequence[str] = (), last: Sequence[str] = (), **model: Any) -> Tokenizer:
    """Byte-level pairs; special tokens take the first or the last ids."""
    vocabulary = {piece: i for i, piece in enumerate(first)}
    for piece in (*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, _BYTE_MERGES)):
        vocabulary[piece] = len(vocabulary)
    backend = Tokenizer(BPE(vocabulary, _BYTE_MERGES, **model))
    backend.pre_tokenizer = split
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*first, *last)])
    return backend


def _sentencepiece(first: Sequence[str], pieces: Sequence[str] = ()) -> Tokenizer:
    """SentencePiece pairs: special tokens, the 256 bytes, `pieces`, merges, printable characters."""
    characters = [c for c in string.printable if c not in string.whitespace]
    spelled = [*first, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *map("".join, _PIECE_MERGES)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys([*spelled, "▁", "é", *characters]))}
    backend = Tokenizer(BPE(vocabulary, _PIECE_MERGES, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in first])
    return backend


def _put_first(backend: Tokenizer, token: str, *after: Any) -> None:
    template = processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, backend.token_to_id(token))]
    )
    backend.post_processor = processors.Sequence([*after, template]) if after else template


def _regex(pattern: str) -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _gpt2() -> Family:
    end = "<|endoftext|>"
    backend = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    model = {**backend.get_vocab(), end: backend.get_vocab_size()}  # here the end token is one of vocab.json
    backend.model = BPE(model, _BYTE_MERGES)
    backend.add_special_tokens([AddedToken(end, special=True, normalized=True)])
    ids = {"bos_token_id": model[end], "eos_token_id": model[end]}
    config = {"model_type": "gpt2", **ids}
    return Family(backend, config, {"model_max_length": 1024}, ids, None, (end,), older_files=True)


def _opt() -> Family:
    backend = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), ("<s>", "<pad>", "</s>"))
    _put_first(backend, "</s>")
    ids = {"bos_token_id": 2, "eos_token_id": 2}
    frame = {"special": True, "lstrip": False, "rstrip": False, "single_word": False, "normalized": True}
    end = {"content": "</s>", "__type": "AddedToken", **frame}
    settings = {"bos_token": end, "eos_token": end, "unk_token": end, "pad_token": {**end, "content": "<pad>"}}
    settings |= {"add_bos_token": True, "add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer"}
    return Family(backend, {"model_type": "opt", **ids}, settings, ids, "</s>", ("</s>",), older_files=True)


def _bloom() -> Family:
    backend = _byte_level(_regex(_BLOOM), ("<unk>", "<s>", "</s>", "<pad>"))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "BloomTokenizerFast"}
    config = {"model_type": "bloom", "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    return Family(backend, config, settings, {}, None, ("</s>",))


_PIECES_TO_TEXT = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def _llama2() -> Family:
    backend = _sentencepiece(("<unk>", "<s>", "</s>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([*_PIECES_TO_TEXT, decoders.Strip(content=" ", left=1)])
    _put_first(backend, "<s>")
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    return Family(backend, {"model_type": "llama", **ids}, settings, ids, "<s>", ("</s>",))


def _mistral() -> Family:
    llama = _llama2()  # the same pieces; the space is put by the pre-tokenizer, as newer conversions have it
    llama.backend.normalizer = None
    llama.backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return dataclasses.replace(llama, config={**llama.config, "model_type": "mistral"})


def _llama3() -> Family:
    names = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    backend = _byte_level(_regex(_LLAMA_3), last=names, ignore_merges=True)
    _put_first(backend, names[0], processors.ByteLevel(trim_offsets=False))
    first, end, turn = (backend.token_to_id(name) for name in (names[0], names[1], names[4]))
    settings = {"bos_token": names[0], "eos_token": names[4], "tokenizer_class": "PreTrainedTokenizerFast"}
    ids = {"bos_token_id": first, "eos_token_id": [end, turn]}
    return Family(backend, {"model_type": "llama", **ids}, settings, ids, names[0], (names[4], names[1]))


def _smollm2() -> Family:
    digits = pre_tokenizers.Digits(individual_digits=True)
    split = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    backend = _byte_level(split, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    settings = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "tokenizer_class": "GPT2Tokenizer"}
    config = {"model_type": "llama", "bos_token_id": 1, "eos_token_id": 2}
    return Family(backend, config, settings, {"eos_token_id": 2}, None, ("<|im_end|>",))


def _qwen(model_type: str, more: Sequence[str] = ()) -> Family:
    backend = _byte_level(_regex(_QWEN), last=("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    backend.normalizer = normalizers.NFC()
    backend.add_tokens([AddedToken(token, normalized=False) for token in more])
    names = ("<|im_end|>", "<|endoftext|>")
    turn, end = (backend.token_to_id(name) for name in names)
    settings = {"bos_token": None, "eos_token": names[0], "pad_token": names[1], "tokenizer_class": "Qwen2Tokenizer"}
    settings |= {"add_bos_token": False, "add_prefix_space": False}
    config = {"model_type": model_type, "bos_token_id": end, "eos_token_id": turn}
    return Family(backend, config, settings, {"eos_token_id": [turn, end]}, None, names, composes=True)


def _gpt_neox() -> Family:
    backend = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), ("<|endoftext|>", "<|padding|>"))
    backend.normalizer = normalizers.NFC()
    backend.add_tokens([AddedToken(" " * n, normalized=True) for n in range(4, 1, -1)])  # runs of spaces
    end = "<|endoftext|>"
    settings = {"bos_token": end, "eos_token": end, "unk_token": end, "tokenizer_class": "GPTNeoXTokenizer"}
    config = {"model_type": "gpt_neox", "bos_token_id": 0, "eos_token_id": 0}
    return Family(backend, config, settings, {}, None, (end,), composes=True)


def _gemma(model_type: str) -> Family:
    # Line breaks, runs of spaces and some tags are tokens of their own, and no special ones.
    whole = ("\n", "\n\n", "▁▁", "<table>")
    turns = ("<start_of_turn>", "<end_of_turn>")
    backend = _sentencepiece(("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"), (*turns, *whole))
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in turns])
    backend.add_tokens([AddedToken(token, normalized=False) for token in whole])
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    backend.decoder = decoders.Sequence(_PIECES_TO_TEXT)
    _put_first(backend, "<bos>")
    settings = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    settings |= {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "add_eos_token": False}
    generation = {"bos_token_id": 2, "eos_token_id": [1, backend.token_to_id("<end_of_turn>")]}
    config = {"model_type": model_type, "bos_token_id": 2, "eos_token_id": 1}
    return Family(backend, config, settings, generation, "<bos>", ("<eos>", "<end_of_turn>"))


_BUILDERS: dict[str, Callable[[], Family]] = {
    "gpt2": _gpt2,
    "opt": _opt,
    "bloom": _bloom,
    "llama2": _llama2,
    "llama3": _llama3,
    "smollm2": _smollm2,
    "qwen2.5": functools.partial(_qwen, "qwen2"),
    "qwen3": functools.partial(_qwen, "qwen3", ("<think>", "</think>")),
    "mistral": _mistral,
    "gpt_neox": _gpt_neox,
    "gemma2": functools.partial(_gemma, "gemma2"),
    "gemma3": functools.partial(_gemma, "gemma3_text"),
}
FAMILIES = tuple(_BUILDERS)


@functools.cache
def family(name: str) -> Family:
    return _BUILDERS[name]()
