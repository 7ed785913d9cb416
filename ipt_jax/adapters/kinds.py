"""The kinds of adapter, each one object; what another kind needs stands in docs/extending.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ipt_jax.adapters.initialisation import check_positions, initial_rows
from ipt_jax.adapters.injection import Adapter, Injection
from ipt_jax.adapters.lora import LoRAKind
from ipt_jax.adapters.prefix import PrefixKind
from ipt_jax.adapters.soft_prompt import SoftPrompts
from ipt_jax.models.config import DecoderConfig
from ipt_jax.models.loading import FrozenLM


class Kind(Protocol):
    """What can be trained beside the frozen model. `settings` are those of a run.

    Attributes:
      name: in settings and files; title: in tables.
      at_positions: whether it stands at `layout.prompt_tokens` positions before the tokens.
    """

    name: str
    title: str
    at_positions: bool

    def present(self, settings: Mapping[str, Any]) -> bool:
        """Whether a run of this kind has an adapter at all."""

    def check(self, settings: Any, config: DecoderConfig) -> None:
        """Raises InputError for what this model cannot have."""

    def shapes(self, settings: Any, config: DecoderConfig) -> dict[str, tuple[int, ...]]:
        """Of what `fold` gives, for one member; under "" where it is one array."""

    def numbers(self, settings: Any, config: DecoderConfig) -> int:
        """How many are trained for one member."""

    def start(self, lm: FrozenLM, settings: Any, examples: Callable[[], Sequence[Mapping[str, str]]]) -> Any:
        """What one member starts from, as `fold` gives it."""

    def create(self, starts: Sequence[Any], settings: Any, member_seeds: Sequence[int]) -> tuple[Adapter, Any]:
        """The functions of K members, and their parameters, whose every leaf has leading axis K."""

    def inject(self, folded: Any) -> Injection:
        """What the decoder gets of what is kept."""

    def misfit(self, arrays: Mapping[str, np.ndarray], config: DecoderConfig) -> str:
        """Why what is kept of one member cannot be put into this model; nothing where it can."""


@dataclasses.dataclass(frozen=True)
class SoftPromptKind:
    """Rows in the space of embeddings, see `soft_prompt`."""

    name: str = "prompt"
    title: str = "soft prompt"
    at_positions: bool = True

    def present(self, settings: Mapping[str, Any]) -> bool:
        return settings["layout"]["prompt_tokens"] > 0

    def check(self, settings: Any, config: DecoderConfig) -> None:
        check_positions(settings, config)

    def shapes(self, settings: Any, config: DecoderConfig) -> dict[str, tuple[int, ...]]:
        return {"": (settings.layout.prompt_tokens, config.embed_dim)}

    def numbers(self, settings: Any, config: DecoderConfig) -> int:
        prompt, width = settings.prompt, config.embed_dim
        mlp = 2 * width * prompt.hidden + (prompt.depth - 1) * prompt.hidden**2
        return settings.layout.prompt_tokens * width + mlp * (prompt.reparameterisation == "mlp")

    def start(self, lm: FrozenLM, settings: Any, examples: Any) -> np.ndarray:
        return initial_rows(lm, settings, examples)

    def create(self, starts: Sequence[Any], settings: Any, member_seeds: Sequence[int]) -> tuple[SoftPrompts, Any]:
        return SoftPrompts.create(
            np.stack(starts),
            reparameterisation=settings.prompt.reparameterisation,
            hidden=settings.prompt.hidden,
            depth=settings.prompt.depth,
            activation=settings.prompt.activation,
            residual=settings.prompt.residual,
            member_seeds=list(member_seeds),
        )

    def inject(self, folded: Any) -> Injection:
        return Injection(folded)

    def misfit(self, arrays: Mapping[str, np.ndarray], config: DecoderConfig) -> str:
        return ""  # its file has one array, which `files.check_prompt` looks at


KINDS: dict[str, Kind] = {kind.name: kind for kind in (SoftPromptKind(), PrefixKind(), LoRAKind())}


def knows_positions(settings: Any) -> bool:
    """Whether keys and values of the adapter's positions are what is trained, so that nothing runs to make them."""
    return kind_of(settings).name == PrefixKind.name


def kind_of(settings: Any) -> Kind:
    """The kind that a run's settings name; without a name, or an adapter at all, the soft prompt (of no rows)."""
    adapter = settings["adapter"]
    return KINDS[adapter["kind"] if adapter else "prompt"]
