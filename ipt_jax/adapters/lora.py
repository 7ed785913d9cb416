"""LoRA: to what a linear map gives of x, x · A · B · scale is added, of rank r (Hu et al., arXiv 2106.09685)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ipt_jax import seeds
from ipt_jax.adapters.injection import Injection
from ipt_jax.errors import InputError
from ipt_jax.models.changes import Changes, check_places, places
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.loading import FrozenLM


@dataclasses.dataclass(frozen=True)
class LowRank:
    """See `models.changes.Rule`; the weights of a place are `down` [in, r] and `up` [r, out], the scale in it."""

    def enter(self, weights: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        return x

    def leave(self, weights: dict[str, jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        return y + (x @ weights["down"].astype(x.dtype)) @ weights["up"].astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class LoRAs:
    """K LoRAs as functions of one parameter pytree, see `adapters.injection.Adapter`."""

    scale: float

    def fold(self, params: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """`PLACE.down` f32[K, L, in, r] as it is, and `PLACE.up` f32[K, L, r, out] times the scale."""
        return {name: x * self.scale if name.endswith(".up") else x for name, x in params.items()}

    def inject(self, folded: dict[str, jax.Array]) -> Injection:
        return inject(folded)


def inject(folded: dict[str, jax.Array]) -> Injection:
    weights: dict[str, dict[str, jax.Array]] = {}
    for name, array in folded.items():
        place, part = name.split(".")
        weights.setdefault(place, {})[part] = array
    members = len(next(iter(folded.values())))
    return Injection(jnp.zeros((members, 0, 0), jnp.float32), changes=Changes(weights, LowRank()))


@dataclasses.dataclass(frozen=True)
class LoRAKind:
    """See `kinds.Kind`."""

    name: str = "lora"
    title: str = "LoRA"
    at_positions: bool = False

    def present(self, settings: Any) -> bool:
        """Untrained and taken from nowhere, it changes nothing."""
        return bool((settings["training"] and settings["training"]["steps"]) or settings["prompt"]["source"])

    def check(self, settings: Any, config: DecoderConfig) -> None:
        check_places(targets_of(settings), config, f"config.adapter.targets={settings.adapter.targets!r}")
        narrowest = min(min(places(config)[target]) for target in targets_of(settings))
        if settings.adapter.rank > narrowest:
            raise InputError(
                f"config.adapter.rank={settings.adapter.rank} is more than a map between {narrowest} and more numbers "
                "has; choose at most that"
            )

    def shapes(self, settings: Any, config: DecoderConfig) -> dict[str, tuple[int, ...]]:
        layers, rank, widths = config.num_layers, settings.adapter.rank, places(config)
        found: dict[str, tuple[int, ...]] = {}
        for target in targets_of(settings):
            found[f"{target}.down"] = (layers, widths[target][0], rank)
            found[f"{target}.up"] = (layers, rank, widths[target][1])
        return found

    def numbers(self, settings: Any, config: DecoderConfig) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes(settings, config).values())

    def start(self, lm: FrozenLM, settings: Any, examples: Any) -> dict[str, np.ndarray]:
        """`down` uniform on ±in^-0.5, as PEFT has it, and `up` zero: the model is not changed yet."""
        found = {}
        for name, shape in self.shapes(settings, lm.decoder.config).items():
            draw = seeds.rng(settings.seed, "lora", name)
            edge = shape[1] ** -0.5 if name.endswith(".down") else 0.0
            found[name] = draw.uniform(-edge, edge, shape).astype(np.float32)
        return found

    def create(self, starts: Sequence[Any], settings: Any, member_seeds: Sequence[int]) -> tuple[LoRAs, Any]:
        scale = scale_of(settings.adapter)
        stacked = {name: jnp.stack([jnp.asarray(start[name]) for start in starts]) for name in starts[0]}
        return LoRAs(scale), {name: x / scale if name.endswith(".up") else x for name, x in stacked.items()}

    def inject(self, folded: Any) -> Injection:
        return inject(folded)

    def misfit(self, arrays: Mapping[str, np.ndarray], config: DecoderConfig) -> str:
        widths = places(config)
        for target in sorted({name.rpartition(".")[0] for name in arrays}):
            if target not in widths:
                return f"it changes {target!r}, where the model has {', '.join(widths)}"
            if missing := {f"{target}.down", f"{target}.up"} - set(arrays):
                return f"it has no {missing.pop()}"
            down, up = arrays[f"{target}.down"].shape, arrays[f"{target}.up"].shape
            layers, (before, after) = config.num_layers, widths[target]
            if len(down) != 3 or up[:2] != (layers, down[-1]) or (down[:2], up[2:]) != ((layers, before), (after,)):
                wanted = f"[{layers}, {before}, rank] and [{layers}, rank, {after}]"
                return f"{target} is {list(down)} and {list(up)}, where the model needs {wanted}"
        return "" if arrays else "it is empty"


def targets_of(settings: Any) -> tuple[str, ...]:
    """The places that are changed."""
    named = tuple(name.strip() for name in settings.adapter.targets.split(",") if name.strip())
    if not named or len(set(named)) < len(named):
        raise InputError(
            f"config.adapter.targets={settings.adapter.targets!r} must name linear maps, each once: query,value"
        )
    return named


def scale_of(adapter: Any) -> float:
    """alpha / r, or alpha / √r with `rslora` (arXiv 2312.03732)."""
    return adapter.alpha / (adapter.rank**0.5 if adapter.rslora else adapter.rank)
