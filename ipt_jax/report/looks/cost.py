"""What the runs of a setting cost and under which conditions they ran: facts and two tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ipt_jax.report.reading.methods import Setting
from ipt_jax.tables import Table


def facts(setting: Setting) -> list[tuple[str, str]]:
    """What was run, as pairs of name and value; what is not recorded is left out."""
    runs, passed_over = setting.all_runs, len(setting.all_runs) - len(setting.runs)
    unchosen = f", {passed_over} of them with learning rates that were not chosen" if passed_over else ""
    results = [run.result for run in runs]
    seconds = sum(sum(_seconds(result).values()) for result in results)
    pairs = [
        ("Task", f"{setting.task_title}, {setting['split']} split, {_plain(setting['examples'])} examples"),
        ("Overlap with training", overlap(results)),
        ("Data hash", setting["data_hash"]),
        ("Language model", setting["model"]),
        ("Number format", setting["dtype"]),
        ("Attention", setting["attention"]),
        ("Decoding", setting["decoding"]),
        ("Runs", f"{len(runs)} runs of {len(setting.methods)} methods{unchosen}"),
        ("Time", f"{duration(seconds)} over all runs" if seconds else None),
        ("Devices", ", ".join(dict.fromkeys(_plain(result.get("devices")) for result in results))),
        ("Versions", setting["versions"]),
    ]
    return [(name, _plain(value)) for name, value in pairs if value]


def overlap(results: Iterable[Mapping[str, Any]]) -> str | None:
    """What the evaluated examples share with the training examples that runs used, a sentence for each such set.

    None where no run has recorded it: runs of older versions, and those that use no training example.
    """
    sentences = {}
    for result in results:
        if shared := result.get("overlap"):
            same, near, examples = (shared[key] for key in ("same_input", "near_duplicate", "examples"))
            used = (result.get("limit") or {}).get("train")
            of = f"at most {used:,} training examples" if used else "the training examples"
            sentences[
                f"{same:,} of {examples:,} examples ({same / examples:.1%}) have the same input as one of {of}, "
                f"{near:,} others ({near / examples:.1%}) one with at least nine tenths of the words in common"
            ] = None
    return "; ".join(sentences) or None


class _Column(NamedTuple):
    """Numbers that can be summed over runs.

    Attributes:
      of: result → number; None where there is none.
      optional: whether a run that has none took none; else it is not known, and the sum is a lower bound.
    """

    title: str
    of: Callable[[Mapping[str, Any]], float | None]
    show: Callable[[float], str]
    optional: bool

    def cell(self, result: Mapping[str, Any]) -> str:
        value = self.of(result)
        return "–" if value is None else self.show(value)

    def total(self, results: Sequence[Mapping[str, Any]]) -> str:
        known = [value for result in results if (value := self.of(result)) is not None]
        if not known:
            return "–"
        bound = "" if self.optional or len(known) == len(results) else "≥ "
        return f"{bound}{self.show(sum(known))}"


def cost(setting: Setting) -> Table:
    """Seconds per phase, arithmetic, compilations and device of each run; the last row has the sums."""
    results = [run.result for run in setting.all_runs]
    phases = dict.fromkeys(phase for result in results for phase in _seconds(result))
    columns = [
        *(_Column(f"{p.capitalize()}, s", lambda r, p=p: _seconds(r).get(p), _tenths, optional=True) for p in phases),
        _Column("Total, s", lambda r: sum(_seconds(r).values()) if _seconds(r) else None, _tenths, optional=False),
        _Column("Train, TFLOP", lambda r: _flop(r, "train"), _tera, optional=False),
        _Column("Evaluate, TFLOP", lambda r: _flop(r, "evaluate"), _tera, optional=False),
    ]
    rows = []
    for method in setting.all_methods:
        for run in method.runs:
            others = [_plain(run.result.get(key)) for key in ("compilations", "devices", "run")]
            cells = [column.cell(run.result) for column in columns]
            rows.append([method.label, str(run.seed), *cells, *others])
    header = ["Method", "Seed", *(column.title for column in columns), "Compilations", "Device", "Run"]
    return Table(header, [*rows, ["All runs", "", *(column.total(results) for column in columns), "", "", ""]])


def conditions(setting: Setting) -> Table:
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
            values = [run.empty, *(run.result.get(key) for key in counts.values())]
            values += [(run.result.get("training") or {}).get(key) for key in training.values()]
            rows.append([method.label, str(run.seed), *map(_plain, values)])
    return Table(["Method", "Seed", "Empty answers", *counts, *training], rows)


def _tenths(value: float) -> str:
    return f"{value:,.1f}"


def _tera(value: float) -> str:
    """1.234567e16 → '12,345.7', 1.23e10 → '0.012'."""
    value = value / 1e12
    return f"{value:.2g}" if 0 < value < 0.1 else _tenths(value)


def _flop(result: Mapping[str, Any], part: str) -> float | None:
    """Of training or evaluation; None where an older version did not record it."""
    return (result.get("arithmetic") or {}).get(part)


def _seconds(result: Mapping[str, Any]) -> dict[str, float]:
    return {phase: value for phase, value in (result.get("seconds") or {}).items() if value is not None}


def duration(seconds: float) -> str:
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
