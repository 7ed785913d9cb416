"""Whether tuning a prompt pays beside what costs no training: demonstrations that are retrieved."""

from __future__ import annotations

from ipt_jax.report.looks.comparison import (
    CONTRADICTED,
    OPEN,
    SUPPORTED,
    compare,
    compared_cells,
    compared_header,
    judge,
)
from ipt_jax.report.reading.methods import Setting
from ipt_jax.tables import Table


def tuned_and_retrieved(setting: Setting) -> Table | None:
    """A row for each tuned method and each retrieved ICL of the setting, tested on the same examples.

    Returns:
      None where the setting lacks one of the two. The p-values are corrected for the number of rows.
    """
    tuned = [method for method in setting.methods if method.tuned]
    retrieved = [m for m in setting.methods if m.retrieved and not m.kind.prompted and not m.least_similar]
    pairs = [(ours, theirs) for ours in tuned for theirs in retrieved]
    if not pairs:
        return None
    rows = []
    for (ours, theirs), judged in zip(pairs, judge([compare(*pair) for pair in pairs]), strict=True):
        better = {SUPPORTED: ours.label, CONTRADICTED: theirs.label, OPEN: "undecided"}[judged.verdict]
        rows.append([ours.label, theirs.label, *compared_cells(judged), better])
    return Table(["Tuned", "Retrieved", *compared_header("Score, tuned", "Score, retrieved"), "Better"], rows)
