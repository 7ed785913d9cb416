"""Writes a report: one HTML page that opens from disk, the tables and the figures as files."""

import base64
import hashlib
import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ipt_jax.errors import InputError
from ipt_jax.report import tables
from ipt_jax.report.collect import Collection, Setting, collect
from ipt_jax.report.explorer import explorer_packs
from ipt_jax.report.figures import Figure, search_curve, training_curves
from ipt_jax.report.findings import findings
from ipt_jax.report.prompts import complaints, prompts
from ipt_jax.report.search_tables import RULE, as_files, search_table
from ipt_jax.report.views import View, views
from ipt_jax.results import write_text


def render(workdirs: Iterable[str | os.PathLike], output: str | os.PathLike | None = None) -> Path:
    """Writes index.html, table.{txt,md,tex,csv} and the figures of one or several working directories.

    Where learning rates were searched, learning_rate.{txt,md,tex,csv} besides.

    The page needs no server, network or other file. What is missing in a working directory is said in it.

    Args:
      workdirs: working directories of experiments.
      output: folder for the report, made when missing; by default `report` in the only working directory.

    Returns:
      The path of index.html.

    Raises:
      InputError: a working directory does not exist, there are several and no output, or the disk is full.
    """
    workdirs = [Path(workdir) for workdir in workdirs]
    if output is None:
        if len(workdirs) != 1:
            raise InputError(f"a report on {len(workdirs)} working directories needs a folder: add --output=…")
        output = workdirs[0] / "report"
    collection = collect(workdirs)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    figures, searches, looks = [], [], []
    for number, setting in enumerate(collection.settings, start=1):
        figures.append(training_curves(setting, prefix=f"setting{number}-"))
        searches.append(search_curve(setting, prefix=f"setting{number}-"))
        looks.append(views(setting, prefix=f"setting{number}-"))
        drawn = [figure for view in looks[-1] for figure in view.figures]
        for figure in filter(None, [*figures[-1], searches[-1], *drawn]):
            figure.save(folder, prefix=f"setting{number}-" if len(collection.settings) > 1 else "")
    write_text(folder / "table.txt", "\n\n".join(map(tables.as_text, collection.settings)) + "\n")
    write_text(folder / "table.md", tables.as_markdown(collection.settings))
    write_text(folder / "table.tex", tables.as_latex(collection.settings))
    write_text(folder / "table.csv", tables.as_csv(collection.settings))
    for ending, text in as_files(collection.settings).items():
        write_text(folder / f"learning_rate.{ending}", text)
    write_text(folder / "index.html", page(collection, figures, searches, looks))
    return folder / "index.html"


def page(
    collection: Collection,
    figures: list[list[Figure]],
    searches: list[Figure | None],
    looks: list[list[View]],
) -> str:
    """The HTML text.

    Args:
      figures: the training curves of each setting.
      searches: the figure of each setting's learning-rate searches, or None.
      looks: the views of each setting.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ipt_jax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "".join(map(_asset, ("differences.js", "examples.js", "page.js")))
    return environment.get_template("index.html.j2").render(
        heading=_heading(collection.settings),
        models=list(dict.fromkeys(str(setting["model"]) for setting in collection.settings)),
        synthetic=any(setting.synthetic for setting in collection.settings),
        notes=collection.notes,
        settings=[
            {
                "title": setting.title,
                "facts": _facts(setting),
                "table": tables.table(setting),
                "metric_notes": tables.metric_notes(setting),
                "findings": findings(setting),
                "figures": [(Markup(figure.inline), figure.caption) for figure in drawn],
                "choices": [search.sentence for search in setting.searches],
                "caution": tables.caution(setting),
                "search": _search(setting, search),
                "views": [_view(view) for view in seen],
                "prompts": prompts(setting),
                "complaints": complaints(setting),
                "cost": _cost(setting),
                "conditions": _conditions(setting),
            }
            for setting, drawn, search, seen in zip(collection.settings, figures, searches, looks, strict=True)
        ],
        footnote=tables.FOOTNOTE,
        rule=RULE,
        packs=explorer_packs(collection.settings),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _asset(name: str) -> str:
    return resources.files("ipt_jax.report").joinpath("templates", name).read_text(encoding="utf-8")


def _heading(settings: Iterable[Setting]) -> str:
    """The tasks' titles; a task on synthetic data that does not say so in its title is made to."""
    titles = [
        f"Synthetic sample: {setting.task_title}"
        if setting.synthetic and "synthetic" not in setting.task_title.lower()
        else setting.task_title
        for setting in settings
    ]
    return ", ".join(dict.fromkeys(titles)) or "No finished run"


def _search(setting: Setting, figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    shown = [(f"Learning rates of {search.label}", search_table(setting, search)) for search in setting.searches]
    return {"drawing": Markup(figure.inline), "caption": figure.caption, "tables": shown}


def _view(view: View) -> dict[str, Any]:
    drawn = [(Markup(figure.inline), figure.caption) for figure in view.figures]
    return {"title": view.title, "text": view.text, "figures": drawn, "tables": view.tables}


def _facts(setting: Setting) -> list[tuple[str, str]]:
    """What was run, as pairs of name and value; what is not recorded is left out."""
    runs, passed_over = setting.all_runs, len(setting.all_runs) - len(setting.runs)
    unchosen = f", {passed_over} of them with learning rates that were not chosen" if passed_over else ""
    seconds = sum(sum(_seconds(run.result).values()) for run in runs)
    facts = [
        ("Task", f"{setting.task_title}, {setting['split']} split, {_plain(setting['examples'])} examples"),
        ("Data hash", setting["data_hash"]),
        ("Language model", setting["model"]),
        ("Number format", setting["dtype"]),
        ("Attention", setting["attention"]),
        ("Decoding", setting["decoding"]),
        ("Runs", f"{len(runs)} runs of {len(setting.methods)} methods{unchosen}"),
        ("Time", f"{_duration(seconds)} over all runs" if seconds else None),
        ("Devices", ", ".join(dict.fromkeys(_plain(run.result.get("devices")) for run in runs))),
        ("Versions", setting["versions"]),
    ]
    return [(name, _plain(value)) for name, value in facts if value]


def _cost(setting: Setting) -> tables.Table:
    """Seconds per phase, their sum and the compilations of each run."""
    phases = list(dict.fromkeys(phase for run in setting.all_runs for phase in _seconds(run.result)))
    header = ["Method", "Seed", *(f"{phase.capitalize()}, s" for phase in phases), "Total, s", "Compilations", "Run"]
    rows = []
    for method in setting.all_methods:
        for run in method.runs:
            seconds = _seconds(run.result)
            times = [f"{seconds[phase]:,.1f}" if phase in seconds else "–" for phase in phases]
            total = f"{sum(seconds.values()):,.1f}" if seconds else "–"
            compilations = _plain(run.result.get("compilations"))
            rows.append([method.label, str(run.seed), *times, total, compilations, run.id])
    return tables.Table(header, rows)


def _conditions(setting: Setting) -> tables.Table:
    """What was cut or excluded in each run, and how it was trained."""
    counts = {
        "Inputs cut": "truncated",
        "Demonstrations dropped": "demonstrations_dropped",
        "Duplicates excluded": "duplicates_excluded",
    }
    training = {
        "Steps": "steps",
        "Batch": "batch_size",
        "Learning rate": "learning_rate",
        "Best step": "best_step",
        "Best dev loss": "best_dev_loss",
    }
    rows = []
    for method in setting.all_methods:
        for run in method.runs:
            values = [run.result.get(key) for key in counts.values()]
            values += [(run.result.get("training") or {}).get(key) for key in training.values()]
            rows.append([method.label, str(run.seed), *map(_plain, values)])
    return tables.Table(["Method", "Seed", *counts, *training], rows)


def _seconds(result: dict[str, Any]) -> dict[str, float]:
    return {phase: value for phase, value in (result.get("seconds") or {}).items() if value is not None}


def _duration(seconds: float) -> str:
    """75.2 → '1 min 15 s'; 8000 → '2 h 13 min'."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _plain(value: Any) -> str:
    """A value of a result as text for people."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
