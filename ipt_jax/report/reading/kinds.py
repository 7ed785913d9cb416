"""What kind of method the numbers of a run make it: claims and looks go by this, and never by what a run is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ipt_jax.workdir.names import FROM_A_FILE, IN_CHAT, TAUGHT, method_label, shots_label


@dataclass(frozen=True)
class Kind:
    """A method without the number of its prompt rows, its seed and its learning rate.

    Attributes:
      prompted: whether there is an adapter, such as a prompt before the input.
      trained: whether the run itself trained it.
      loaded: whether it came from elsewhere.
      demonstrations: how many.
      retriever: `random`, or `retrieved` for all that choose by the input; empty without demonstrations.
      selection: `nearest` or `farthest`.
      adapter: what the adapter is, of `adapters.kinds`.
      taught: by which demonstrations it was distilled, in words; empty where it learned the targets.
      chat: whether its rows are turns of the model's own chat template.
    """

    prompted: bool = False
    trained: bool = False
    loaded: bool = False
    demonstrations: int = 0
    retriever: str = ""
    selection: str = "nearest"
    adapter: str = "prompt"
    chat: bool = False
    taught: str = ""

    @property
    def label(self) -> str:
        """Its name for people: `PT`, `ICL, random one-shot`, …"""
        source = FROM_A_FILE if self.loaded else None
        numbers = int(self.prompted), self.demonstrations, self.retriever, int(self.trained)
        return (
            method_label(*numbers, source, self.selection, self.adapter)
            + (IN_CHAT if self.chat else "")
            + (TAUGHT.format(self.taught) if self.taught else "")
        )

    @property
    def shots(self) -> str:
        """Its demonstrations for people: `zero-shot`, `retrieved one-shot`, …"""
        return shots_label(self.demonstrations, self.retriever, self.selection)


RANDOM_ONE_SHOT = Kind(demonstrations=1, retriever="random")
RETRIEVED_ONE_SHOT = Kind(demonstrations=1, retriever="retrieved")
RETRIEVED_THREE_SHOT = Kind(demonstrations=3, retriever="retrieved")
PT = Kind(prompted=True, trained=True)
IPT = Kind(prompted=True, trained=True, demonstrations=1, retriever="retrieved")


def kind_of(result: Mapping[str, Any]) -> Kind:
    """The kind of a run by its `result.json`."""
    demonstrations = result.get("demonstrations") or 0
    selection = (result.get("layout") or {}).get("selection") or "nearest"
    adapter = result.get("adapter") or "prompt"
    return Kind(
        prompted=bool(result.get("prompt_tokens")) or adapter != "prompt",
        trained=bool(result.get("training")),
        loaded=bool(result.get("prompt_source")),
        demonstrations=demonstrations,
        retriever=("random" if result.get("retriever") == "random" else "retrieved") if demonstrations else "",
        selection=selection if demonstrations else "nearest",
        adapter=adapter,
        taught=_taught(result),
        chat=bool((result.get("layout") or {}).get("chat")),
    )


def _taught(result: Mapping[str, Any]) -> str:
    count = (result.get("training") or {}).get("teacher_demonstrations") or 0
    selection = (result.get("layout") or {}).get("selection") or "nearest"
    return shots_label(count, result.get("retriever"), selection) if count else ""
