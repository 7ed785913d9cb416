"""The reference of all settings, docs/settings.md: `python -m ipt_jax.experiment.settings_page > docs/settings.md`."""

from __future__ import annotations

import dataclasses
import functools
import textwrap
from collections.abc import Iterator

from ml_collections import ConfigDict

from ipt_jax.experiment import schema
from ipt_jax.setting import Leaf, bounds, leaves

_HEAD = """\
# Settings

Every setting of an experiment with its default. `--config.SECTION.LEAF=VALUE` overrides one on the command line, a
config file of one's own as in `configs/`. A tuple where a number or one of a few names stands is an axis, a run for
each value: `--config.seed="(0,1,2)"`, `--config.layout.retriever="('bm25','random')"`; in `config.runs` of a config
file a tuple is one wherever a single value stands. `execution` says how a run is carried out and is no part of what it
is.
Where a setting does not matter, a run has its neutral value: equal experiments are one run whatever was given.

This page is made from the package: `python -m ipt_jax.experiment.settings_page > docs/settings.md`.
"""


def page() -> str:
    """Markdown: a section for each section of the config, a row for each setting."""
    return "\n".join([_HEAD, *_sections(schema.Experiment, "config")]) + "\n"


def help_of(name: str, config: ConfigDict) -> str:
    """Every setting as a flag, with its value in a config, its meaning, and what its runs change of it; plain text."""
    lines = [f"The settings of {name}, each with its value there. A tuple of numbers stands for a run for each.", ""]
    for path, leaf in schema.walk():
        place = ".".join(path)
        if not leaf.setting.in_config or place in ("runs", "per_task"):
            continue
        value = functools.reduce(lambda section, part: section[part], path, config)
        value = value.to_dict() if isinstance(value, ConfigDict) else value
        lines.append(f"--config.{place}={value!r}")
        lines += textwrap.wrap(_told(leaf), 96, initial_indent="    ", subsequent_indent="    ")
    lines += ["", "Its runs, and what they change:", ""]
    lines += [f"  {run}: {changes.to_dict() or 'nothing'}" for run, changes in config.runs.items()]
    return "\n".join([*lines, "", "Flags that are no settings: --help without --config.", ""])


def _told(leaf: Leaf) -> str:
    """Meaning, choices, range, and when it matters."""
    known = leaf.setting
    notes = [known.meaning]
    if known.choices and "|" not in known.meaning:
        notes.append(" | ".join(map(str, known.choices)))
    if leaf.kind in (int, float) and bounds(known):
        notes.append(bounds(known))
    if known.matters:
        notes.append(f"matters {known.matters.text}")
    return "; ".join(notes)


def _sections(kind: type, place: str) -> Iterator[str]:
    own = {leaf.name: leaf for leaf in leaves(kind) if leaf.setting.in_config}
    yield f"## {place}\n\n{_first_paragraph(kind)}\n"
    yield "| setting | default | meaning |\n| --- | --- | --- |"
    yield from (_row(leaf) for leaf in own.values())
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.default_factory):
            yield ""
            yield from _sections(field.default_factory, f"{place}.{field.name}")


def _row(leaf: Leaf) -> str:
    cells = (f"`{leaf.name}`", f"`{leaf.default!r}`", _told(leaf))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _first_paragraph(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


if __name__ == "__main__":
    print(page(), end="")
