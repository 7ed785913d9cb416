"""Writes a report: one HTML page that opens from disk, the tables and the figures as files."""

import base64
import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ipt_jax.errors import InputError
from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.drawing.figures import Figure
from ipt_jax.report.looks import answer, cost
from ipt_jax.report.looks.claims import UNTESTED, Claim, claims
from ipt_jax.report.looks.comparison import CONTRADICTED, OPEN, SUPPORTED
from ipt_jax.report.looks.curves import search_curve, training_curves
from ipt_jax.report.looks.empties import MARK, cautions
from ipt_jax.report.looks.findings import findings
from ipt_jax.report.looks.prompts import complaints, prompts
from ipt_jax.report.looks.score_chart import score_chart
from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.looks.views import View, views, views_across
from ipt_jax.report.page import learning_rate_tables, table_files
from ipt_jax.report.page.explorer import explorer_packs
from ipt_jax.report.page.learning_rate_tables import search_table
from ipt_jax.report.page.table_files import blocks_of_claims, blocks_of_views
from ipt_jax.report.reading.chosen import chosen
from ipt_jax.report.reading.collect import Collection, collect
from ipt_jax.report.reading.methods import Setting
from ipt_jax.workdir.disk import make_folder
from ipt_jax.workdir.json_files import write_text


def render(
    workdirs: Iterable[str | os.PathLike],
    output: str | os.PathLike | None = None,
    *,
    methods: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Path:
    """Writes index.html, table.{txt,md,tex,csv} and the figures of one or several working directories.

    Where there is something to say in them, besides: main_table (all tasks), claims (of the paper), views (against
    retrieval, by prompt length, by similarity, …) and learning_rate (searches), each with the same four endings.

    The page needs no server, network or other file. What is missing in a working directory is said in it.

    Args:
      workdirs: working directories of experiments.
      output: folder for the report, made when missing; by default `report` in the only working directory.
      methods, metrics: those to show, see `reading.chosen`; all of them where none are named.

    Returns:
      The path of index.html.

    Raises:
      InputError: a working directory does not exist, there are several and no output, a method or metric is not there,
        or the disk is full.
    """
    workdirs = [Path(workdir) for workdir in workdirs]
    if output is None:
        if len(workdirs) != 1:
            raise InputError(f"a report on {len(workdirs)} working directories needs a folder: add --output=…")
        output = workdirs[0] / "report"
    collection = chosen(collect(workdirs), methods, metrics)
    folder = make_folder(output)
    drawn = [_draw(setting, f"setting{number}-") for number, setting in enumerate(collection.settings, start=1)]
    for number, each in enumerate(drawn, start=1):
        for figure in each.all_figures:
            figure.save(folder, prefix=f"setting{number}-" if len(drawn) > 1 else "")
    matrices = transfers(collection.settings)
    across, found = views_across(collection.settings, matrices), claims(collection.settings, matrices)
    for figure in (figure for view in across for figure in view.figures):
        figure.save(folder)
    for name, content in {
        "main_table": table_files.as_files(blocks_of_views(across)),
        "claims": table_files.as_files(blocks_of_claims(found)),
        "views": table_files.as_files([b for each in drawn for b in blocks_of_views(each.views, each.setting.title)]),
        "learning_rate": learning_rate_tables.as_files(collection.settings),
    }.items():
        for ending in table_files.ENDINGS:
            if content:
                write_text(folder / f"{name}.{ending}", content[ending])
            else:  # an earlier report in the same folder may have had something to say
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
    write_text(folder / "table.txt", "\n\n".join(map(setting_tables.as_text, collection.settings)) + "\n")
    write_text(folder / "table.md", setting_tables.as_markdown(collection.settings))
    write_text(folder / "table.tex", setting_tables.as_latex(collection.settings))
    write_text(folder / "table.csv", setting_tables.as_csv(collection.settings))
    write_text(folder / "index.html", _page(collection, drawn, across, found))
    return folder / "index.html"


@dataclass(frozen=True)
class _Drawn:
    """A setting with its figures: the chart of all methods, the curves, the search for learning rates, the views."""

    setting: Setting
    chart: Figure | None
    curves: list[Figure]
    search: Figure | None
    views: list[View]

    @property
    def all_figures(self) -> list[Figure]:
        of_views = [figure for view in self.views for figure in view.figures]
        return [figure for figure in (self.chart, *self.curves, self.search, *of_views) if figure]


def _draw(setting: Setting, prefix: str) -> _Drawn:
    """All that is drawn of a setting; the prefix keeps ids of inline figures apart."""
    charts = score_chart(setting, prefix), training_curves(setting, prefix), search_curve(setting, prefix)
    return _Drawn(setting, *charts, views(setting, prefix))


def _page(collection: Collection, drawn: Sequence[_Drawn], across: Sequence[View], found: Sequence[Claim]) -> str:
    """The HTML text.

    Args:
      across: the views of several settings together.
      found: the paper's claims.
    """
    script = "".join(map(_asset, ("differences.js", "examples.js", "page.js")))
    return _template().render(
        heading=_heading(collection),
        synthetic=any(setting.synthetic for setting in collection.settings),
        notes=collection.notes,
        settings=[_content(each) for each in drawn],
        across=[_view(view) for view in across],
        claims=[claim for claim in found if claim.verdict != UNTESTED],
        untested=[claim.claim for claim in found if claim.verdict == UNTESTED],
        mark=MARK,
        footnote=" ".join(setting_tables.NOTES),
        search_rule=learning_rate_tables.RULE,
        verdicts={SUPPORTED: "yes", CONTRADICTED: "no, the other way round", OPEN: "undecided"},
        packs=explorer_packs(collection.settings),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _content(drawn: _Drawn) -> dict[str, Any]:
    """What the page says of a setting."""
    setting = drawn.setting
    return {
        "title": setting.title,
        "about": _about(setting),
        "cautions": cautions(setting),
        "answer": answer.answer(setting),
        "chart": drawn.chart and (Markup(drawn.chart.inline), drawn.chart.caption),
        "facts": cost.facts(setting),
        "table": setting_tables.table(setting),
        "metric_notes": setting_tables.metric_notes(setting),
        "findings": findings(setting),
        "figures": [(Markup(figure.inline), figure.caption) for figure in drawn.curves],
        "choices": [search.sentence for search in setting.searches],
        "caution": setting_tables.caution(setting),
        "search": _search(setting, drawn.search),
        "views": [_view(view) for view in drawn.views],
        "prompts": prompts(setting),
        "complaints": complaints(setting),
        "cost": cost.cost(setting),
        "conditions": cost.conditions(setting),
    }


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ipt_jax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2")


def _asset(name: str) -> str:
    return resources.files("ipt_jax.report").joinpath("templates", name).read_text(encoding="utf-8")


def _heading(collection: Collection) -> str:
    """What the experiments are called; without a config, the tasks."""
    titles = dict.fromkeys(setting.task_title for setting in collection.settings)
    return ", ".join(collection.names or titles) or "No finished run"


def _about(setting: Setting) -> str:
    """The task, its split and the language model; a task on synthetic data whose title does not say so is made to."""
    kind = "Synthetic sample: " if setting.synthetic and "synthetic" not in setting.task_title.lower() else ""
    return f"{kind}{setting.task_title}, {setting['split']} split, {setting.size}, {setting['model']}"


def _search(setting: Setting, figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    shown = [(f"Learning rates of {search.label}", search_table(setting, search)) for search in setting.searches]
    return {"drawing": Markup(figure.inline), "caption": figure.caption, "tables": shown}


def _view(view: View) -> dict[str, Any]:
    drawn = [(Markup(figure.inline), figure.caption) for figure in view.figures]
    return {"title": view.title, "text": view.text, "figures": drawn, "tables": view.tables, "notes": view.notes}
