"""Looks at the runs beyond a table of methods: against retrieval, by prompt length, by similarity, across tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipt_jax.report.drawing import colours as colour_of
from ipt_jax.report.drawing.figures import Axes, Figure
from ipt_jax.report.drawing.setting_tables import FOOTNOTE
from ipt_jax.report.looks.adapters import by_adapter
from ipt_jax.report.looks.against_retrieval import tuned_and_retrieved
from ipt_jax.report.looks.comparison import OPEN, Judged, p_text
from ipt_jax.report.looks.data_size import Learned, by_data_size
from ipt_jax.report.looks.demonstrations import trained_and_tested
from ipt_jax.report.looks.overview import Overview, overviews
from ipt_jax.report.looks.prompt_length import Length, prompt_lengths
from ipt_jax.report.looks.similarity import Bin, BySimilarity, by_similarity
from ipt_jax.report.looks.transfer import Transfer
from ipt_jax.report.reading.kinds import IPT, PT, RETRIEVED_ONE_SHOT
from ipt_jax.report.reading.methods import Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.paper import paper_numbers
from ipt_jax.report.reading.statistics import holm
from ipt_jax.tables import Table


@dataclass(frozen=True)
class View:
    """One look at a setting.

    Attributes:
      title: its heading.
      text: what it says in words.
      figures, tables: a table with its caption.
      notes: what a reader must know of the tables.
    """

    title: str
    text: tuple[str, ...]
    figures: tuple[Figure, ...]
    tables: tuple[tuple[str, Table], ...]
    notes: tuple[str, ...] = ()


def views(setting: Setting, prefix: str = "") -> list[View]:
    """Those that the setting has runs for.

    Args:
      prefix: begins the ids inside inline SVGs, because all figures of a page share one name space.
    """
    found = []
    if table := tuned_and_retrieved(setting):
        text = "Every tuned method against in-context learning with retrieved demonstrations, on the same examples."
        notes = (
            "p-values over examples and over seeds, the larger of the two, corrected by Holm for the number of rows.",
        )
        found.append(View("Tuning against retrieval", (text,), (), ((setting.title, table),), notes))
    if table := by_adapter(setting):
        text = "What each trained method trains, keeps and costs: means over its seeds."
        note = "Trained numbers are those that are moved; what an MLP makes of them is folded, and kept in float32."
        found.append(View("Kinds of adapter", (text,), (), ((setting.title, table),), (note,)))
    if lengths := prompt_lengths(setting):
        found.append(_length_view(setting, lengths, prefix))
    if learned := by_data_size(setting):
        found.append(_data_view(setting, learned, prefix))
    if bins := by_similarity(setting):
        found.append(_similarity_view(setting, bins, prefix))
    if table := trained_and_tested(setting):
        text = "Prompts tuned with one kind of demonstrations, tested with others: mean and deviation over seeds."
        found.append(View("By demonstrations in training and in test", (text,), (), ((setting.title, table),)))
    return found


def views_across(settings: Sequence[Setting], matrices: Sequence[Transfer]) -> list[View]:
    """Those that compare tasks: the main table, and prompts on other tasks than their own."""
    found = [_overview_view(overview) for overview in overviews(settings)]
    return found + [_transfer_view(matrix, f"transfer{i}") for i, matrix in enumerate(matrices, start=1)]


def _overview_view(overview: Overview) -> View:
    notes = (*overview.notes, FOOTNOTE, f"Rows of the paper: {paper_numbers()['source']}")
    return View("Main table", (), (), ((overview.model, overview.table),), notes)


def _transfer_view(matrix: Transfer, name: str) -> View:
    tasks = matrix.tasks
    cells = {(cell.source, cell.target): cell.judged for cell in matrix.cells}
    axes = Axes(f"Difference to {matrix.tested}", name, "Tested on")
    axes.label_y("Prompt tuned on")
    axes.cells(
        tasks,
        tasks,
        [
            [cells[source, target].comparison.difference if (source, target) in cells else None for target in tasks]
            for source in tasks
        ],
    )
    caption = (
        f"{matrix.trained} prompts of every task on every task, tested with the demonstrations of {matrix.tested}: "
        f"the score minus that of {matrix.tested}."
    )
    rows = [
        [
            source,
            *(_transferred(cells[source, target]) if (source, target) in cells else "–" for target in tasks),
        ]
        for source in tasks
    ]
    baselines = {cell.target: str(cell.judged.comparison.theirs) for cell in matrix.cells}
    rows.append([matrix.tested, *(baselines.get(task, "–") for task in tasks)])
    table = Table(["Prompt of", *(f"on {task}" for task in tasks)], rows, scores=len(tasks))
    notes = (f"Language model: {matrix.model}. A star marks a difference with a corrected p-value below 0.05.",)
    title = f"{matrix.trained} prompts on other tasks, {matrix.shots}"
    return View(title, (), (axes.figure(name, caption),), (("Scores", table),), notes)


def _transferred(judged: Judged) -> str:
    """The score, with a star where it differs from ICL's in either direction."""
    return f"{judged.comparison.ours}{'' if judged.verdict == OPEN else ' *'}"


def _length_view(setting: Setting, lengths: Sequence[Length], prefix: str) -> View:
    metric = metric_title(setting, setting["metric"])
    axes = Axes(metric, f"{prefix}prompt_length", "Prompt rows")
    axes.log_scale([length.rows for length in lengths])
    for kind, colour in ((PT, colour_of.PT), (IPT, colour_of.IPT)):
        points = [(length.rows, length.scores[kind]) for length in lengths if kind in length.scores]
        if points:
            rows, scores = zip(*points, strict=True)
            axes.plot(rows, [score.mean for score in scores], color=colour, label=kind.label, marker="o")
            reach = [score.deviation or 0.0 for score in scores]
            low, high = ([s.mean + sign * r for s, r in zip(scores, reach, strict=True)] for sign in (-1, 1))
            axes.band(rows, low, high, colour)
    for method in setting.methods:
        if method.kind == RETRIEVED_ONE_SHOT:
            axes.level(method.result["score"], method.kind.label)
    caption = f"{metric} against the number of prompt rows: mean and standard deviation over seeds."
    tested = [length for length in lengths if length.p_value is not None]
    corrected = dict(zip((t.rows for t in tested), holm([t.p_value for t in tested]), strict=True)) if tested else {}
    rows = [
        [
            str(length.rows),
            *(str(length.scores.get(kind) or "–") for kind in (PT, IPT)),
            "–" if length.ratio is None else f"{length.ratio.value:.2f}",
            "–" if length.ratio is None else f"{length.ratio.low:.2f} to {length.ratio.high:.2f}",
            p_text(corrected.get(length.rows)),
        ]
        for length in lengths
    ]
    header = ["Prompt rows", "PT", "IPT", "Deviation of PT / IPT", "95 % interval", "p of equal variances"]
    text = (
        "The quotient of the standard deviations of PT and IPT over seeds, with a bootstrap interval, and the p-value "
        "of equal variances by Brown and Forsythe, corrected by Holm for the number of lengths. A handful of seeds "
        "says little about a variance.",
    )
    table = Table(header, rows, scores=2)
    return View("By prompt length", text, (axes.figure("prompt_length", caption),), ((caption, table),))


def _data_view(setting: Setting, learned: Sequence[Learned], prefix: str) -> View:
    metric = metric_title(setting, setting["metric"])
    sizes = sorted({size for each in learned for size in each.points})
    axes = Axes(metric, f"{prefix}data_size", "Training examples")
    axes.log_scale(sizes)
    shades = colour_of.colours(setting)
    for each in learned:
        colour = shades[each.method.label]
        places, scores = zip(*each.points.items(), strict=True)
        axes.plot(places, [score.mean for score in scores], color=colour, label=each.label, marker="o")
        reach = [score.deviation or 0.0 for score in scores]
        low, high = ([s.mean + sign * r for s, r in zip(scores, reach, strict=True)] for sign in (-1, 1))
        axes.band(places, low, high, colour)
    caption = f"{metric} against the number of training examples: mean and standard deviation over seeds."
    cost = [each for each in learned if any(each.flop.values())]
    header = ["Training examples", *(each.label for each in learned)]
    header += [f"{each.label}, training, TFLOP" for each in cost]
    rows = [
        [
            f"{size:,}",
            *(str(each.points.get(size) or "–") for each in learned),
            *("–" if each.flop.get(size) is None else f"{each.flop[size] / 1e12:.3g}" for each in cost),
        ]
        for size in sizes
    ]
    text = "Trained methods learn from these examples, and demonstrations are retrieved from them."
    table = Table(header, rows, scores=len(learned))
    return View("By number of training examples", (text,), (axes.figure("data_size", caption),), ((caption, table),))


def _similarity_view(setting: Setting, found: BySimilarity, prefix: str) -> View:
    labels = list(found.equal_width[0].scores)
    axes = Axes("Mean score per example", f"{prefix}similarity", "Similarity of the demonstration")
    centres = [(each.low + each.high) / 2 for each in found.equal_width]
    shades = colour_of.colours(setting)
    for label in labels:
        points = [
            (centre, each.scores[label])
            for centre, each in zip(centres, found.equal_width, strict=True)
            if each.scores[label] is not None
        ]
        axes.plot(*zip(*points, strict=True), color=shades[label], label=label, marker="o")
    axes.name_places(
        centres, [f"{centre:.2f}\n{each.examples}" for centre, each in zip(centres, found.equal_width, strict=True)]
    )
    caption = "Mean score per example in six bins of equal width, with the number of examples in each."
    text = (
        f"Examples by the similarity of the demonstration that {found.guide} sees; methods without demonstrations are "
        "measured on the same examples. Scores are means over seeds and examples, not scores of the whole split.",
    )
    return View(
        "By similarity",
        text,
        (axes.figure("similarity", caption),),
        (
            ("Six bins of equal width", _bin_table(found.equal_width, labels)),
            ("Six bins of equally many examples", _bin_table(found.quantiles, labels)),
        ),
    )


def _bin_table(bins: Sequence[Bin], labels: Sequence[str]) -> Table:
    rows = [
        [
            f"{each.low:.3f} to {each.high:.3f}",
            *("–" if each.scores[label] is None else f"{each.scores[label]:.1f}" for label in labels),
            str(each.examples),
        ]
        for each in bins
    ]
    return Table(["Similarity", *labels, "Examples"], rows, scores=len(labels))
