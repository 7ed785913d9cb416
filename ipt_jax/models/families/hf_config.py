"""A Hugging Face `config.json` that remembers which of its fields the translation has understood."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

from ipt_jax.errors import InputError

T = TypeVar("T")
_REQUIRED: Any = object()  # stands for "no default": None is a value that a file can have
# No size in a real config comes near it; past it, shapes overflow.
_LARGEST, _GREATEST = 2**31 - 1, sys.float_info.max
# Nor any depth near this one; what is listed layer by layer would fill the memory.
MOST_LAYERS = 10_000

# Fields that leave the logits of a frozen language model as they are; regular expressions of the whole name.
_HARMLESS = re.compile(
    "|".join(
        (
            # where the file comes from, and how the weights were stored or initialised
            r"model_type|architectures|_name_or_path|name_or_path|_commit_hash|transformers_version|torch_dtype|dtype",
            r"initializer_range|initializer_factor|init_std|unsloth_\w+|transformers\.js_config|is_llama_config",
            # training only
            r"\w*dropout\w*|\w+_pdrop|layerdrop|gradient_checkpointing",
            # special tokens, which the tokenizer and generation_config.json also give
            r"\w+_token_id|prefix|tokenizer_class",
            # how transformers runs it and what it returns
            r"use_cache|cache_implementation|_?attn_implementation(_autoset|_internal)?|return_dict\w*|torchscript",
            r"output_(attentions|hidden_states|scores|past)|use_bfloat16|chunk_size_feed_forward|is_decoder",
            # heads for other tasks than language modelling, none of which is loaded
            r"id2label|label2id|num_labels|problem_type|finetuning_task|task_specific_params|summary_\w+",
            r"predict_special_tokens|tf_legacy_loss",
            # generation: ours is set in the experiment
            r"max_length|min_length|do_sample|early_stopping|num_beams|num_beam_groups|num_return_sequences",
            r"temperature|top_k|top_p|typical_p|\w*_penalty|(encoder_)?no_repeat_ngram_size|bad_words_ids",
            r"remove_invalid_values|(begin_)?suppress_tokens|\w+_cutoff|num_assistant_tokens(_schedule)?",
            r"assistant_\w+|target_lookbehind",
            # GPT-2's second name of its number of positions
            r"n_ctx",
            # BLOOM: settings of its training program, which no model of transformers reads
            r"attention_softmax_in_fp32|bias_dropout_fusion|masked_softmax_fusion|offset_alibi",
            r"skip_bias_add(_qkv)?",
        )
    )
)
# Fields of real checkpoints that no program of transformers 5 reads when it computes logits with its own classes, but
# that say something of where the model comes from: they are told of when it is loaded. `auto_map` is code of others
# for this model; transformers does not run it unasked either, and takes its own class of the `model_type`.
_PASSED_OVER = re.compile(
    "|".join(
        (
            r"auto_map|custom_pipelines|_num_labels|_from_model_config|_?trust_remote_code",
            r"(use_)?_?flash_attn\w*|use_(mem_eff|memory_efficient|sdpa)_attention|_?experts_implementation\w*",
            r"(tokenizer_)?(model_)?max_(seq(uence)?_)?length|padding_side|(bos|eos|pad|unk)_token|fp16|bf16|fp32",
            r"tie_encoder_decoder|tie_last_hidden_states|freeze_\w+|neftune_noise_alpha|xla_device|onnx\w*",
            r"base_model(_name(_or_path)?)?|model_name|license|language|tags",
        )
    )
)
# Fields of which the name says better than "not understood" what the file is.
_MEANINGS = {
    "quantization_config": "its weights are quantised; use the original checkpoint",
    "quantization": "its weights are quantised; use the original checkpoint",
    "compression_config": "its weights are compressed; use the original checkpoint",
    "sparsity_config": "its weights are compressed; use the original checkpoint",
    "pruned_heads": "it lacks attention heads that the decoder has",
    "per_layer_config": "its layers are of different kinds",
    "is_encoder_decoder": "it is an encoder with a decoder, not a language model",
}


class HfConfig(Mapping[str, Any]):
    """The fields of a `config.json`, read through so that none that changes the arithmetic is passed over.

    `config["n_embd"]` and `config.get("n_inner")` mark a field as understood. An object within the file
    (`rope_scaling`) comes back as an `HfConfig` of its own, whose fields are to be understood as well:

    >>> config = HfConfig({"n_embd": 8, "rope_scaling": {"factor": 2.0}, "resid_pdrop": 0.1})
    >>> config["n_embd"], config.get("n_inner"), config.get("rope_scaling").get("type", "none")
    (8, None, 'none')
    >>> config.unused()
    {'rope_scaling.factor': 2.0}

    Attributes:
      label: the file, for messages.
      family: the family's name in prose (`GPT-2`), for messages.
    """

    def __init__(self, fields: Mapping[str, Any], label: str = "the config", family: str = ""):
        self.label = label
        self.family = family or str(fields.get("model_type", "this family"))
        self._fields = fields
        self._used: set[str] = set()
        self._nested: dict[str, HfConfig] = {}

    @classmethod
    def of(cls, fields: Mapping[str, Any], family: str = "") -> HfConfig:
        """`fields` itself if it is an `HfConfig` (under the name `family`, if one is given), else one around it."""
        if not isinstance(fields, HfConfig):
            return cls(fields, family=family)
        fields.family = family or fields.family
        return fields

    def __getitem__(self, name: str) -> Any:
        """Raises InputError, naming file and setting, for a field that is not there."""
        if name not in self._fields:
            raise InputError(f"{self.label} lacks the setting {name!r}; download it again")
        self._used.add(name)
        value = self._fields[name]
        if not isinstance(value, Mapping):
            return value
        if name not in self._nested:
            self._nested[name] = HfConfig(value, f"{self.label}: {name}", self.family)
        return self._nested[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._fields else default

    def one_of(self, name: str, choices: Mapping[Any, T], default: Any) -> T:
        """Our word for the value of a field that has few supported ones.

        Args:
          name: of the field.
          choices: value in the file → our word for it.
          default: the value that a missing field or null stands for.

        Raises:
          InputError: for another value, with those that are supported.
        """
        value = self.get(name)
        value = default if value is None else value
        if not isinstance(value, Hashable) or value not in choices:
            supported = ", ".join(map(str, choices))
            raise InputError(
                f"{self.label}: {name}={_short(value)} is not implemented for {self.family}; supported: {supported}"
            )
        return choices[value]

    def whole(self, name: str, default: int | None = _REQUIRED, *, least: int = 1, most: int = _LARGEST) -> int | None:
        """A whole number from `least` to `most`. A missing field or null stands for `default`, where there is one."""
        fits: Callable[[Any], bool] = lambda value: type(value) is int and least <= value <= most  # noqa: E731
        return self._checked(name, default, fits, f"a whole number from {least} to {most}")

    def number(self, name: str, default: float | None = _REQUIRED) -> float | None:
        """A finite number above 0; otherwise as `whole`."""
        fits: Callable[[Any], bool] = lambda value: type(value) in (int, float) and 0 < value <= _GREATEST  # noqa: E731
        return self._checked(name, default, fits, "a finite number above 0")

    def flag(self, name: str, default: bool) -> bool:
        """True or false; otherwise as `whole`. A text such as "false" is neither."""
        return self._checked(name, default, lambda value: type(value) is bool, "true or false")

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """A text; otherwise as `whole`."""
        return self._checked(name, default, lambda value: type(value) is str, "a text")

    def many(self, name: str, kind: type) -> list[Any]:
        """A list of texts, or of whole numbers."""
        fits: Callable[[Any], bool] = lambda value: isinstance(value, list) and all(type(x) is kind for x in value)  # noqa: E731
        return self._checked(name, _REQUIRED, fits, "a list of texts" if kind is str else "a list of whole numbers")

    def part(self, name: str) -> HfConfig | None:
        """An object within the file; None where there is none, null or an empty one."""
        fits: Callable[[Any], bool] = lambda value: isinstance(value, HfConfig)  # noqa: E731
        return self._checked(name, None, fits, "an object") or None

    def _checked(self, name: str, default: Any, fits: Callable[[Any], bool], what: str) -> Any:
        value = self[name] if default is _REQUIRED else self.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if not fits(value):
            raise InputError(f"{self.label}: {name}={_short(value)} must be {what}; download it again")
        return value

    def require(self, name: str, value: Any, default: Any = ...) -> None:
        """Raises InputError if the field has another value; a missing field or null stands for `default`.

        Without a `default`, a missing field is taken to have the required value.
        """
        self.one_of(name, {value: None}, value if default is ... else default)

    def ignore(self, *names: str) -> None:
        """Marks fields as understood that have no effect under the other settings of this config."""
        self._used.update(names)

    def unused(self) -> dict[str, Any]:
        """Fields that nothing read and that are not known to be harmless, dotted name → value."""
        left = {
            name: value
            for name, value in self._fields.items()
            if name not in self._used and not _HARMLESS.fullmatch(name) and not _PASSED_OVER.fullmatch(name)
        }
        for outer, nested in self._nested.items():
            left |= {f"{outer}.{name}": value for name, value in nested.unused().items()}
        return left

    def passed_over(self) -> list[str]:
        """Fields that nothing read, that leave the logits as they are, and that are worth telling of."""
        found = [name for name in self._fields if name not in self._used and _PASSED_OVER.fullmatch(name)]
        return [name for name in found if not _switched_off(self._fields[name])]

    def check_all_understood(self) -> None:
        """Raises InputError that lists the fields not understood, with their values.

        Fields that are null, False or empty pass: new options of transformers are written into every file,
        switched off. Where False is not off (`use_parallel_residual`), the family reads the field.
        """
        left = {name: value for name, value in self.unused().items() if not _switched_off(value)}
        for name, meaning in _MEANINGS.items():
            if name in left:
                raise InputError(f"{self.label} has {name}={_short(left[name])}: {meaning}")
        unknown = [f"{name}={_short(value)}" for name, value in left.items()]
        if unknown:
            raise InputError(
                f"{self.label} has settings that are not understood for {self.family} and may change what the model "
                "computes:\n  " + "\n  ".join(unknown) + "\n  Remove the ones that you know to have no effect"
            )


def _switched_off(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _short(value: Any) -> str:
    """A value for a message, which one field must not fill."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


# Hugging Face's names of activations → ours.
ACTIVATION_NAMES = {
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
