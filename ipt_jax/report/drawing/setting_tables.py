"""The table of methods and scores, as text for the terminal, Markdown, LaTeX and CSV."""

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence

from ipt_jax.errors import shown
from ipt_jax.report.looks.answer import RULE as ANSWER_RULE
from ipt_jax.report.looks.answer import answer
from ipt_jax.report.looks.empties import MARK, cautions, marked
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_meaning, metric_title
from ipt_jax.report.reading.paper import models_beside, paper_numbers
from ipt_jax.report.reading.statistics import Spread, spread
from ipt_jax.tables import Table, latex_block, markdown_block, text_block

FOOTNOTE = "Mean ± sample standard deviation over seeds; a single seed has no deviation."
NOTES = (FOOTNOTE, "The interval is that of a bootstrap over the examples, for the seeds that were run.", ANSWER_RULE)


def metric_notes(setting: Setting) -> list[str]:
    """A line per metric of the setting: its title, what it means and its full signature."""
    signatures = (setting["scores"] or {}).get("signatures") or {}
    notes = []
    for name in metric_names(setting):
        signature = str(signatures.get(name, "not recorded"))
        meaning = metric_meaning(setting, name)
        headline = " It is the score that claims are judged by." if name == setting["metric"] else ""
        notes.append(f"{metric_title(setting, name)}{meaning and f', {meaning}'}.{headline} Signature: {signature}")
    return notes


def choice_notes(setting: Setting) -> list[str]:
    """A line per learning-rate search of the setting, with its choice."""
    return [*(search.sentence for search in setting.searches), *caution(setting)]


def caution(setting: Setting) -> list[str]:
    """What to say where a learning rate was chosen on the very split that is scored."""
    if not setting.searches or setting["split"] != "dev":
        return []
    return ["The scores are of the dev split, on which the learning rate was chosen: they flatter the choice."]


def paper_notes(setting: Setting) -> list[str]:
    """Where the paper's numbers come from, if the table has any."""
    return [paper_numbers()["source"]] if setting.of_the_paper else []


def metric_names(setting: Setting) -> list[str]:
    """The metrics that any run of the setting has, the headline first."""
    names = {setting["metric"]: None}
    for run in setting.runs:
        names |= {name: None for name, value in (run.result.get("scores") or {}).items() if _is_number(value)}
    return list(names)


def score_spread(method: Method, metric: str) -> Spread | None:
    """The spread of a metric over the method's runs; None where no run has it."""
    values = []
    for run in method.runs:
        value = (run.result.get("scores") or {}).get(metric)
        if value is None and metric == run.result.get("metric"):
            value = run.result.get("score")
        if _is_number(value):
            values.append(value)
    return spread(values) if values else None


def table(setting: Setting) -> Table:
    """A row per method: its name, the headline metric with its interval, the other metrics, the paper's, numbers.

    A method is marked where many of its answers are empty.
    """
    (headline, *others), task = metric_names(setting), str(setting["task"])
    beside = models_beside(task, str(setting["model"])) if setting.of_the_paper else []
    titles = [metric_title(setting, metric) for metric in others]
    header = ["Method", metric_title(setting, headline), "95 % interval", *titles]
    header += [*(f"Paper, {model}" for model in beside), "Prompt rows", "Demonstrations", "Seeds"]
    rows = []
    for method in setting.methods:
        scores = [_interval(method), *(score_spread(method, metric) for metric in others)]
        papers = [setting.paper_score(model, method) for model in beside]
        numbers = [method.prompt_tokens, method.demonstrations, len(method.runs)]
        cells = [score_spread(method, headline), *scores, *papers]
        rows.append([marked(method), *(str(cell) if cell else "–" for cell in cells), *map(str, numbers)])
    return Table(header, rows, scores=2 + len(others) + len(beside))


def _interval(method: Method) -> str:
    """'41.2 to 43.0' over the examples, or nothing."""
    if method.interval is None:
        return ""
    low, high = method.interval
    return f"{low:.1f} to {high:.1f}"


def score_cell(methods: Sequence[Method]) -> str:
    """The score of the only method of a cell; "several" where runs differ in what the cell does not say."""
    if len(methods) != 1:
        return "several" if methods else "–"
    return str(spread(methods[0].scores))


def terminal_table(workdir: str | os.PathLike) -> str:
    """The tables of a working directory as aligned plain text, with what is missing and what the scores mean.

    Raises:
      InputError: the working directory does not exist.
    """
    collection = collect([workdir])
    blocks = [as_text(setting) for setting in collection.settings]
    if collection.notes:
        blocks.append("\n".join(collection.notes))
    return "\n\n".join(blocks)


def as_text(setting: Setting) -> str:
    headings = [setting.title, setting.size, *conclusion(setting)]
    return text_block(headings, table(setting), _notes(setting))


def as_markdown(settings: Sequence[Setting]) -> str:
    blocks = [markdown_block(s.title, table(s), _notes(s), conclusion(s)) for s in settings]
    return "\n\n".join(blocks) + "\n"


def as_latex(settings: Sequence[Setting]) -> str:
    """One `table` environment per setting; it needs the package booktabs."""
    blocks = [latex_block(s.title, table(s), _notes(s), conclusion(s)) for s in settings]
    return "\n\n".join(blocks) + "\n"


def conclusion(setting: Setting) -> list[str]:
    """What to say before the numbers: methods with many empty answers, marked in the table, then the answer."""
    return [*(f"{MARK} {caution}" for caution in cautions(setting)), answer(setting)]


def _notes(setting: Setting) -> list[str]:
    return [*NOTES, *choice_notes(setting), *metric_notes(setting), *paper_notes(setting)]


def as_csv(settings: Sequence[Setting]) -> str:
    """A row per method and metric with unrounded numbers; `deviation` is empty for a single seed.

    `interval_low` and `interval_high` are of the mean over seeds, by Student's t; `examples_low` and `examples_high`
    of the headline metric over the examples; `empty` is the number of empty answers of all seeds.
    """
    shared = ["task", "split", "examples", "model"]
    own = ["method", "prompt_tokens", "demonstrations", "retriever", "metric", "mean", "deviation", "seeds"]
    own += ["interval_low", "interval_high", "examples_low", "examples_high", "empty"]
    rows = [[*shared, *own]]
    for setting in settings:
        for method in setting.methods:
            place = [*(setting[key] for key in shared), method.label, method.prompt_tokens, method.demonstrations]
            for metric in metric_names(setting):
                if score := score_spread(method, metric):
                    over_seeds = score.interval or (None, None)
                    over_examples = (metric == setting["metric"] and method.interval) or (None, None)
                    numbers = [score.mean, score.deviation, score.n, *over_seeds, *over_examples, method.empty]
                    rows.append([*place, method.retriever, metric, *numbers])
    return csv_text(rows)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV. A text that a spreadsheet would take for a formula has an apostrophe before it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return file.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) and not _SIGNED.fullmatch(text) else text


# A number or a difference, as ours are written: "+3.8", "-1.2 to +0.4".
_SIGNED = re.compile(r"[+−-][\d.]+( ± [\d.]+)?( to [+−-]?[\d.]+)?")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
