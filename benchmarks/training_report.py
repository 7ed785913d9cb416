"""What was measured of training, against what is wanted: rows of figures, and the table that is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import side_by_side
from benchmarks.needed import needed_flop
from benchmarks.side_by_side import Measured
from benchmarks.training_cases import Case, lengths_of


def round_flop(case: Case, members: int, answer: dict[str, Any]) -> float:
    """The needed arithmetic of a round, of the rows that a side says it has learned from."""
    from ipt_jax.models.loading import HF_FAMILIES

    config = HF_FAMILIES[case.model["model_type"]].config_from_hf(case.model)
    lengths = lengths_of(case)
    return sum(
        needed_flop(config, case.prompt_rows, lengths[rows], members, case.adapter != "prefix")
        for rows in answer["rows"]
    )


def row(name: str, case: Case, own: Measured, peer: str, other: Measured, rate: float) -> dict[str, Any]:
    """A comparison of ours with a peer, or with itself (`ours`): its speed against the machine's.

    Args:
      rate: FLOP per second of large products of matrices.
    """
    both = []
    for measured, members in ((own, case.members), (other, case.members if peer in ("ours", "before") else 1)):
        times = case.members // members  # they train the members one after another
        flop, busy = round_flop(case, members, measured.answers[-1]), statistics.median(measured.processor_seconds)
        both.append([times * figure for figure in (measured.median, flop, busy)])
    (our_seconds, our_flop, our_busy), (their_seconds, their_flop, their_busy) = both
    found = {
        "case": name,
        "members": case.members,
        "peer": peer,
        "our_seconds": our_seconds,
        "their_seconds": their_seconds,
        "our_processor_seconds": our_busy,
        "their_processor_seconds": their_busy,
        "our_flop": our_flop,
        "their_flop": their_flop,
        "our_rounds": own.seconds,
        "their_rounds": other.seconds,
        "our_peak_bytes": own.peak_bytes,
        "their_peak_bytes": other.peak_bytes,
        "matrix_rate": rate,
        "our_share_of_rate": our_flop / our_seconds / rate,
        "their_share_of_rate": their_flop / their_seconds / rate,
        "our_real_share": own.answers[-1]["real_share"],
        "their_real_share": other.answers[-1]["real_share"],
        "faster": their_seconds / their_flop / (our_seconds / our_flop),
        "less_processor_time": their_busy / their_flop / (our_busy / our_flop),
        "memory_share": own.peak_bytes / other.peak_bytes,
    }
    return found | {"goals": _goals(case, peer, found)}


def _goals(case: Case, peer: str, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is wanted of each figure, and whether it is met."""
    wanted = {"faster": case.faster.get(peer), "memory_share": case.memory.get(peer)}
    if peer == "ours":
        wanted = {"our_share_of_rate": case.rate_share, "our_real_share": case.real_share}
    return {
        figure: {"wanted": limit, "met": found[figure] <= limit if figure == "memory_share" else found[figure] >= limit}
        for figure, limit in wanted.items()
        if limit is not None
    }


COLUMNS = (
    "case",
    "side",
    "s",
    "processors, s",
    "GFLOP needed",
    "of the matrix rate",
    "real tokens",
    "ours is faster",
    "by processors",
    "GB",
    "ours has",
)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each side: seconds of a round, those of all processors, and what they were needed for; how many times
    as fast ours is, by the clock and by processors' time, and its share of the side's memory; behind a figure its goal,
    and whether it is met."""
    lines = []
    for each in rows:
        side, ours = each["peer"], each["peer"] == "ours"
        if each["members"] > 1:
            side = f"{each['members']} × {side}" if side not in ("ours", "before") else f"{side}, {each['members']}"
        lines.append(
            [
                each["case"],
                side,
                f"{each['their_seconds']:.2f}",
                f"{each['their_processor_seconds']:.2f}",
                f"{each['their_flop'] / 1e9:.0f}",
                _told(each, "our_share_of_rate" if ours else "their_share_of_rate", ".0%"),
                _told(each, "our_real_share" if ours else "their_real_share", ".0%"),
                "" if ours else _told(each, "faster", ".2f"),
                "" if ours else f"{each['less_processor_time']:.2f}",
                f"{each['their_peak_bytes'] / 1e9:.2f}",
                "" if ours else _told(each, "memory_share", ".0%"),
            ]
        )
    return side_by_side.table(COLUMNS, lines)


def _told(row: dict[str, Any], figure: str, form: str) -> str:
    """A figure, and its goal if it has one."""
    goal = row["goals"].get(figure)
    said = f" ({'met' if goal['met'] else 'missed'}: {goal['wanted']:{form}})" if goal else ""
    return f"{row[figure]:{form}}{said}"


def curve_sentence(curve: dict[str, Any]) -> str:
    """How far the first losses are from one another."""
    count = len(curve["losses"]["ours"])
    told = ", ".join(f"from {peer}'s by at most {each:.1e}" for peer, each in curve["differences"].items())
    return f"{curve['case']}: the first {count} losses differ {told} ({'met' if curve['met'] else 'missed'})"
