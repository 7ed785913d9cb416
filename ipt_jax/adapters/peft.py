"""Hugging Face PEFT's folders of prefix tuning and LoRA, read and written: `adapter_config.json` and its tensors.

What its arrays mean depends on the language model: GPT-2's and BLOOM's query, key and value are one map there and three
here. So a folder is read as it is, and becomes an adapter of ours where the model is known. Checked against PEFT 0.21.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.changes import places
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.files.hf_folder import read_json
from ipt_jax.models.files.safetensors import SafetensorsFile
from ipt_jax.models.weights import Weight
from ipt_jax.workdir.json_text import canonical_json
from ipt_jax.workdir.orbax_files import digest_of

if TYPE_CHECKING:
    from ipt_jax.models.loading import FrozenLM

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
KINDS = {"PREFIX_TUNING": "prefix", "LORA": "lora"}
_PREFIX_KEY = "prompt_embeddings"
# Variants of LoRA that add something else, and parts beside it, each with the value that means "none".
_WITHOUT: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "lora_bias": (False, None),
    "trainable_token_indices": (None, [], {}),
    "layer_replication": (None, []),
    "target_parameters": (None, []),
    "use_qalora": (False, None),
    **dict.fromkeys(("use_bdlora", "alora_invocation_tokens", "arrow_config", "kasa_config"), (None, False)),
    **dict.fromkeys(("monteclora_config", "velora_config"), (None, False)),
    # The others change the frozen weights, too.
    "init_lora_weights": (True, False, None, "gaussian", "eva", "orthogonal"),
}
_NAME = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<part>[AB])(?:\.default)?\.weight")
# torch's Linear keeps [out, in]; GPT-2's Conv1D, which this family alone has, [in, out].
CONV1D = ("gpt2",)


@dataclasses.dataclass(frozen=True, eq=False)
class PeftAdapter:
    """A folder of PEFT as it stands there.

    Attributes:
      path: for errors.
      kind: of ours.
      settings: `adapter_config.json`.
      tensors: by PEFT's names.
    """

    path: Path
    kind: str
    settings: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]

    def digest(self) -> str:
        """SHA-256 of what it is."""
        return (
            digest_of({**self.tensors, CONFIG: np.frombuffer(canonical_json(self.settings), np.uint8)}).tobytes().hex()
        )

    def arrays_for(self, lm: FrozenLM) -> dict[str, np.ndarray]:
        """What our kind keeps of one member, for this model. Raises InputError where it is an adapter of another."""
        made = _prefix if self.kind == "prefix" else _lora
        return made(self, lm.decoder.config, lm.family)


def is_folder_of(path: Path) -> str | None:
    """The kind of ours that a PEFT folder, or the file of its tensors, has; None where that is a prompt, or nothing."""
    config = (path if path.is_dir() else path.parent) / CONFIG
    if not config.is_file() or (path.is_file() and path.name != TENSORS):
        return None
    return KINDS.get(str(read_json(config).get("peft_type")))


def read_folder(path: Path) -> PeftAdapter:
    """Reads a folder, or the file of tensors in it, for which `is_folder_of` has an answer.

    Raises:
      InputError: the tensors are missing or damaged, or the config asks for what is not built, by its name.
    """
    folder = path if path.is_dir() else path.parent
    config, tensors = folder / CONFIG, folder / TENSORS
    settings = read_json(config)
    if not tensors.is_file():
        raise InputError(f"{folder} has no {TENSORS}; save the adapter with safe_serialization=True")
    if settings.get("num_transformer_submodules") not in (None, 1):
        raise InputError(f"{config}: the adapter is one of an encoder and a decoder; supported: of a decoder alone")
    kind = KINDS[settings["peft_type"]]
    for name, none in _WITHOUT.items() if kind == "lora" else ():
        if name in settings and settings[name] not in none:
            raise InputError(f"{config}: {name}={settings[name]!r} is not supported; LoRA without it is")
    file = SafetensorsFile(tensors)
    return PeftAdapter(folder, kind, settings, {name: np.asarray(file.read(name), np.float32) for name in file.names()})


def _prefix(adapter: PeftAdapter, config: DecoderConfig, family: str) -> dict[str, np.ndarray]:
    """[P, L · 2 · G · H] → keys and values [L, P, G, H]; both have their angles already, as they stand in a cache."""
    del family
    found = [array for name, array in adapter.tensors.items() if name.endswith(_PREFIX_KEY)]
    width = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    if len(found) != 1 or found[0].ndim != 2 or found[0].shape[1] != width:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in adapter.tensors.items()) or "nothing"
        raise InputError(
            f"{adapter.path / TENSORS} holds {shapes}; a prefix of this model is {_PREFIX_KEY} [positions, {width}] "
            f"({config.num_layers} layers × 2 × {config.num_kv_heads} heads × {config.head_dim})"
        )
    apart = found[0].reshape(-1, config.num_layers, 2, config.num_kv_heads, config.head_dim).transpose(2, 1, 0, 3, 4)
    return {"keys": apart[0].copy(), "values": apart[1].copy()}


def prefix_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`_prefix` undone."""
    both = np.stack([arrays["keys"], arrays["values"]])  # [2, L, P, G, H]
    return {_PREFIX_KEY: both.transpose(2, 1, 0, 3, 4).reshape(both.shape[2], -1)}


class _Map(NamedTuple):
    """A linear map of the checkpoint: its module without the number of the layer, and the places of ours in it."""

    module: str
    rows: tuple[Weight, ...]


def _maps(config: DecoderConfig, family: str, path: Path) -> dict[str, _Map]:
    """Module → map, `{layer}` in its name."""
    if family not in loading.HF_FAMILIES:
        raise InputError(f"{path}: what family the language model is of is not known, so its modules have no names")
    known, found = places(config), {}
    for row in loading.HF_FAMILIES[family].hf_weights(config):
        place, _, leaf = row.place.removeprefix("blocks.").rpartition(".")
        if row.place.startswith("blocks.") and leaf == "kernel" and place in known:
            module = row.source.removesuffix(".weight")
            found[module] = _Map(module, (*found.get(module, _Map(module, ())).rows, row))
    return found


def _lora(adapter: PeftAdapter, config: DecoderConfig, family: str) -> dict[str, np.ndarray]:
    """`PLACE.down` [L, in, r] and `PLACE.up` [L, r, out], the scale in it; layers that are left out have zeros."""
    settings, path = adapter.settings, adapter.path / CONFIG
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float):
        raise InputError(f"{path}: r={rank!r} and lora_alpha={alpha!r} must be a whole number from 1 and a number")
    scale = alpha / (rank**0.5 if settings.get("use_rslora") else rank)
    maps = _maps(config, family, path)
    arrays: dict[str, np.ndarray] = {}
    pairs: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for name, tensor in adapter.tensors.items():
        matched = _NAME.fullmatch(name)
        module, layer = _without_layer(matched["module"]) if matched else ("", -1)
        if module not in maps or not 0 <= layer < config.num_layers:
            raise InputError(f"{adapter.path}: tensor {name!r} changes no linear map of this model's {family} layers")
        pairs.setdefault((module, layer), {})[matched["part"]] = tensor
    for (module, layer), pair in pairs.items():
        for place, down, up in _of_map(pair, maps[module], config, family, adapter.path):
            if down.shape[1] != rank:
                raise InputError(f"{adapter.path}: {module} has rank {down.shape[1]}, where {CONFIG} promises {rank}")
            for part, array in (("down", down), ("up", up * np.float32(scale))):
                whole = arrays.setdefault(f"{place}.{part}", np.zeros((config.num_layers, *array.shape), np.float32))
                whole[layer] = array
    return arrays


def _of_map(
    pair: Mapping[str, np.ndarray], found: _Map, config: DecoderConfig, family: str, path: Path
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(place, down [in, r], up [r, out]) of each place in a map: A is theirs in common, B is cut as the weight is."""
    if set(pair) != {"A", "B"} or any(array.ndim != 2 for array in pair.values()):
        raise InputError(f"{path}: {found.module} has {', '.join(sorted(pair))}; both matrices A and B are needed")
    for row in found.rows:
        place = row.place.split(".")[1]
        before, after = places(config)[place]
        if pair["A"].shape[1] != before or pair["B"].shape[0] != after * len(found.rows):
            shapes = f"A {list(pair['A'].shape)} and B {list(pair['B'].shape)}"
            widths = f"from {before} to {after * len(found.rows)}"
            raise InputError(f"{path}: {found.module} has {shapes}, where this model's map is {widths}")
        up = row.transform(pair["B"].T if family in CONV1D else pair["B"], config)
        yield place, np.ascontiguousarray(pair["A"].T), np.ascontiguousarray(up)


def _without_layer(module: str) -> tuple[str, int]:
    """
    >>> _without_layer("model.layers.3.self_attn.q_proj")
    ('model.layers.{layer}.self_attn.q_proj', 3)
    """
    found = re.search(r"\.(\d+)\.", module)
    if found is None:
        return "", -1
    return f"{module[: found.start(1)]}{{layer}}{module[found.end(1) :]}", int(found[1])


def lora_tensors(arrays: Mapping[str, np.ndarray], lm: FrozenLM) -> tuple[dict[str, np.ndarray], int, list[str]]:
    """PEFT's tensors, the rank that all maps have, and the modules' names within a layer; the scale stays in B.

    A map of three places has their ranks side by side: each has rows of B of its own, and zeros elsewhere. Maps of
    lower rank are filled up with zeros.
    """
    config, tensors, targets = lm.decoder.config, {}, []
    named = {name.rpartition(".")[0] for name in arrays}
    maps = [each for each in _maps(config, lm.family, Path(CONFIG)).values() if _changed(each, named)]
    rank = max(sum(arrays[f"{place}.down"].shape[-1] for place in _changed(each, named)) for each in maps)
    for each in maps:
        targets.append(each.module.partition("{layer}.")[2])
        of_place = {row.place.split(".")[1]: row for row in each.rows}
        out = sum(places(config)[place][1] for place in of_place)
        for layer in range(config.num_layers):
            a, b, used = np.zeros((rank, places(config)[next(iter(of_place))][0]), np.float32), np.zeros((out, rank)), 0
            for place in _changed(each, named):
                down, up = arrays[f"{place}.down"][layer], arrays[f"{place}.up"][layer]
                own = slice(used, used := used + down.shape[1])
                a[own] = down.T
                b[_outputs_of(of_place[place], out, config, lm.family), own] = up.T
            name = f"base_model.model.{each.module.format(layer=layer)}"
            tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b.astype(np.float32)}
    return tensors, rank, targets


def written(arrays: Mapping[str, np.ndarray], kind: str, lm: FrozenLM) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`adapter_config.json` and the tensors of an adapter of ours, as PEFT reads them."""
    config = lm.decoder.config
    settings = {"task_type": "CAUSAL_LM", "inference_mode": True}
    if kind == "prefix":
        heads = config.num_kv_heads
        own = {
            "peft_type": "PREFIX_TUNING",
            "num_virtual_tokens": arrays["keys"].shape[1],
            "token_dim": heads * config.head_dim,
            "num_attention_heads": heads,
            "num_layers": config.num_layers,
            "num_transformer_submodules": 1,
            "prefix_projection": False,
        }
        return settings | own, prefix_tensors(arrays)
    tensors, rank, targets = lora_tensors(arrays, lm)
    own = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": targets,
        "fan_in_fan_out": lm.family in CONV1D,
    }
    return settings | own, tensors


def _changed(each: _Map, named: set[str]) -> list[str]:
    """The places of a map that are changed."""
    return [place for row in each.rows if (place := row.place.split(".")[1]) in named]


def _outputs_of(row: Weight, out: int, config: DecoderConfig, family: str) -> np.ndarray:
    """Which of a map's outputs, i64[·], are a place's, in its order."""
    numbered = np.arange(out)
    return row.transform(numbered[None] if family in CONV1D else numbered[:, None], config).reshape(-1)
