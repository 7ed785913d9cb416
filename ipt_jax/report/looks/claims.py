"""The paper's claims, each with the statistic that supports it, contradicts it or leaves it open on these runs.

Methods are compared by paired tests on the same examples, deviations by Brown and Forsythe's test, and the p-values of
a claim are corrected by Holm for the number of places where it was tested (the claims: arXiv 2302.11521, abstract).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # which imports scipy.stats on first use: every command would wait a second for it

from ipt_jax.report.looks.comparison import (
    CONTRADICTED,
    FOUND,
    LEVEL,
    OPEN,
    SUPPORTED,
    compare,
    compared_cells,
    compared_header,
    judge,
    overall,
    p_text,
    signed,
)
from ipt_jax.report.looks.findings import same_length_pairs
from ipt_jax.report.looks.prompt_length import prompt_lengths, scores_by_length
from ipt_jax.report.looks.similarity import similarities
from ipt_jax.report.looks.transfer import Transfer
from ipt_jax.report.reading.kinds import IPT, PT
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.paper import paper_tasks
from ipt_jax.report.reading.statistics import (
    brown_forsythe,
    detectable_correlation,
    detectable_ratio,
    deviation_ratio,
    holm,
)
from ipt_jax.tables import Table


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
      claim: the claim in words.
      verdict: supported, contradicted, open, or untested where no runs bear on it.
      sentence: how often it held, and by which rule that gives the verdict.
      evidence: a row for each place where it was tested.
    """

    claim: str
    verdict: str
    sentence: str
    evidence: Table


UNTESTED = "untested"
_HOLDS = "It is supported where it holds in at least one place and its contrary in none."


def claims(settings: Sequence[Setting], matrices: Sequence[Transfer]) -> list[Claim]:
    """All of them; those without runs on the paper's tasks are untested.

    A sample that a generator made, or anybody's own data, neither supports nor contradicts what is said of others.

    Args:
      matrices: of these settings, see `transfers`.
    """
    settings = [setting for setting in settings if setting.of_the_paper]
    return [
        _not_always(settings),
        _where_similar(settings),
        _steadier(settings),
        _unsteady_when_long(settings),
        _transfers(matrices),
    ]


def _pairs(settings: Sequence[Setting]) -> list[tuple[Setting, Method, Method]]:
    """IPT as the paper has it, one retrieved demonstration, and PT of as many rows."""
    return [
        (setting, ipt, pt)
        for setting in settings
        for ipt, pt in same_length_pairs(setting)
        if (ipt.kind, pt.kind) == (IPT, PT)
    ]


def _not_always(settings: Sequence[Setting]) -> Claim:
    claim, pairs = "IPT does not always beat PT", _pairs(settings)
    judged = judge([compare(ipt, pt) for _, ipt, pt in pairs])
    if not judged:
        return _untested(claim)
    # Lengths of one task are tested on the same examples: together they are one place.
    of_place: dict[str, list[str]] = {}
    for (setting, _, _), each in zip(pairs, judged, strict=True):
        of_place.setdefault(setting.title, []).append(each.verdict)
    verdicts = [overall(each) for each in of_place.values()]
    if any(CONTRADICTED in each for each in of_place.values()):
        verdict, because = SUPPORTED, "PT is better in at least one place"
    elif set(verdicts) == {SUPPORTED} and len(verdicts) > 1:
        verdict, because = CONTRADICTED, "IPT is better in every place"
    elif set(verdicts) == {SUPPORTED}:
        verdict, because = OPEN, "one place does not say always"
    else:
        verdict, because = OPEN, "PT is better nowhere, and IPT not in every place"
    sentence = (
        f"IPT is better in {verdicts.count(SUPPORTED)} of {_places(verdicts)}, PT in {verdicts.count(CONTRADICTED)}, "
        f"and {verdicts.count(OPEN)} {_are(verdicts.count(OPEN))} undecided: {because}."
    )
    if len(judged) > len(verdicts):
        sentence += f" {len(judged)} comparisons; those of one task share its examples, and are one place."
    better = {SUPPORTED: "IPT", CONTRADICTED: "PT", OPEN: "undecided"}
    rows = [
        [_place(setting, pt), *compared_cells(each), better[each.verdict]]
        for (setting, _, pt), each in zip(pairs, judged, strict=True)
    ]
    return Claim(claim, verdict, sentence, Table(["Task", *compared_header("IPT", "PT"), "Better"], rows))


def _where_similar(settings: Sequence[Setting]) -> Claim:
    claim = "IPT gains more on PT where the demonstration is more similar to the input"
    tested = []
    for setting, ipt, pt in _pairs(settings):
        near, ours, theirs = similarities(ipt), ipt.example_scores, pt.example_scores
        shared = [id for id in near if id in ours and id in theirs]
        gains = [ours[id] - theirs[id] for id in shared]
        if len(shared) > 2 and np.ptp(gains) > 0 and np.ptp([near[id] for id in shared]) > 0:
            found = scipy.stats.spearmanr([near[id] for id in shared], gains)
            tested.append((_place(setting, pt), float(found.statistic), float(found.pvalue), len(shared)))
    header = ["Task", "Rank correlation of similarity and gain", "Corrected p", FOUND, "Examples", "Verdict"]
    return _correlations(claim, header, tested, "The gain rises with similarity")


def _steadier(settings: Sequence[Setting]) -> Claim:
    claim = "The score of IPT varies less between seeds than that of PT"
    tested = []
    for setting, ipt, pt in _pairs(settings):
        ours, theirs = (ipt.scores, pt.scores)
        p_value, ratio = brown_forsythe(theirs, ours), deviation_ratio(theirs, ours)
        if p_value is not None:
            tested.append((_place(setting, pt), theirs, ours, ratio, p_value))
    if not tested:
        return _untested(claim)
    corrected = holm([p_value for *_, p_value in tested])
    rows, verdicts = [], []
    for (place, theirs, ours, ratio, _), p_value in zip(tested, corrected, strict=True):
        wider = float(np.std(theirs, ddof=1) - np.std(ours, ddof=1))
        verdicts.append(_by_sign(wider, p_value))
        rows.append(
            [
                place,
                f"{np.std(theirs, ddof=1):.2f} ({len(theirs)} seeds)",
                f"{np.std(ours, ddof=1):.2f} ({len(ours)} seeds)",
                "–" if ratio is None else f"{ratio.value:.2f}, {ratio.low:.2f} to {ratio.high:.2f}",
                p_text(p_value),
                _found(detectable_ratio(len(theirs), len(ours), LEVEL / len(tested)), 1),
                verdicts[-1],
            ]
        )
    header = ["Task", "Deviation of PT", "Deviation of IPT", "Ratio, 95 % interval", "Corrected p", FOUND, "Verdict"]
    wider = sum(float(np.std(theirs)) > float(np.std(ours)) for _, theirs, ours, _, _ in tested)
    sentence = (
        f"PT deviates more in {wider} of {_places(tested)}; {_counts(verdicts)}. {_HOLDS} "
        "A handful of seeds says little about a variance."
    )
    return Claim(claim, overall(verdicts), sentence, Table(header, rows))


def _unsteady_when_long(settings: Sequence[Setting]) -> Claim:
    claim = "The score of PT varies more between seeds the more prompt rows it has"
    tested = []
    for setting in settings:
        by_length = scores_by_length(setting)[PT] if prompt_lengths(setting) else {}
        points = [
            (rows, abs(score - float(np.median(scores))))
            for rows, scores in by_length.items()
            for score in scores
            if len(scores) > 2
        ]
        if len({rows for rows, _ in points}) > 2 and np.ptp([far for _, far in points]) > 0:
            found = scipy.stats.spearmanr(*zip(*points, strict=True))
            tested.append((setting.title, float(found.statistic), float(found.pvalue), len(points)))
    header = ["Task", "Rank correlation of rows and distance from the median", "Corrected p", FOUND, "Runs", "Verdict"]
    return _correlations(claim, header, tested, "The distance rises with the rows")


def _transfers(matrices: Sequence[Transfer]) -> Claim:
    claim = "A prompt that was tuned on another task beats ICL with the same demonstrations"
    papers = paper_tasks()
    cells = [
        (matrix, cell)
        for matrix in matrices
        if matrix.kind == PT
        for cell in matrix.foreign
        if {cell.source, cell.target} <= papers
    ]
    if not cells:
        return _untested(claim)
    verdicts = [cell.judged.verdict for _, cell in cells]
    models = {matrix.model for matrix, _ in cells}
    rows = [
        [
            f"{cell.source} → {cell.target}" + (f", {matrix.model}" if len(models) > 1 else ""),
            *compared_cells(cell.judged),
            cell.judged.verdict,
        ]
        for matrix, cell in cells
    ]
    sentence = f"Of {_places(cells)}, {_counts(verdicts)}. {_HOLDS}"
    header = ["Prompt → task", *compared_header("Transfer", "ICL"), "Verdict"]
    return Claim(claim, overall(verdicts), sentence, Table(header, rows))


def _correlations(claim: str, header: list[str], tested: Sequence[tuple[str, float, float, int]], rises: str) -> Claim:
    """A claim on the sign of a rank correlation."""
    if not tested:
        return _untested(claim)
    corrected = holm([p_value for _, _, p_value, _ in tested])
    verdicts = [_by_sign(rho, p_value) for (_, rho, _, _), p_value in zip(tested, corrected, strict=True)]
    found = [_found(detectable_correlation(n, LEVEL / len(tested)), 2) for *_, n in tested]
    rows = [
        [place, signed(rho, 2), p_text(p_value), reach, f"{n:,}", verdict]
        for (place, rho, _, n), p_value, reach, verdict in zip(tested, corrected, found, verdicts, strict=True)
    ]
    risen = sum(rho > 0 for _, rho, _, _ in tested)
    sentence = f"{rises} in {risen} of {_places(tested)}; {_counts(verdicts)}. {_HOLDS}"
    return Claim(claim, overall(verdicts), sentence, Table(header, rows))


def _by_sign(value: float, p_value: float) -> str:
    if p_value >= LEVEL or value == 0:
        return OPEN
    return SUPPORTED if value > 0 else CONTRADICTED


def _found(reach: float | None, digits: int) -> str:
    return "nothing" if reach is None else f"{reach:.{digits}f}"


def _place(setting: Setting, pt: Method) -> str:
    return f"{setting.title}, {pt.prompt_tokens} row{'s' * (pt.prompt_tokens != 1)}"


def _places(found: Sequence) -> str:
    return f"{len(found)} place{'s' * (len(found) != 1)}"


def _counts(verdicts: Sequence[str]) -> str:
    supported, contradicted, undecided = (verdicts.count(each) for each in (SUPPORTED, CONTRADICTED, OPEN))
    return f"the test supports it in {supported}, contradicts it in {contradicted} and leaves {undecided} open"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _untested(claim: str) -> Claim:
    return Claim(claim, UNTESTED, "No runs bear on it.", Table([], []))
