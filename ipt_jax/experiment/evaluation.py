"""A split under the prompts of a population → predictions.jsonl of every member → scores, after the last row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from ipt_jax.adapters.injection import Injection
from ipt_jax.decoding import choosing, generation
from ipt_jax.decoding.request import Request
from ipt_jax.decoding.settings import Search
from ipt_jax.errors import InputError
from ipt_jax.metrics.calibration import CONFIDENCE
from ipt_jax.models.loading import FrozenLM
from ipt_jax.rows.preparation import PreparedSplit
from ipt_jax.runtime import preemption, processes
from ipt_jax.runtime.log import Progress
from ipt_jax.tasks.base import Example, Task, choices_of
from ipt_jax.tasks.scores import Scores, example_headline
from ipt_jax.tasks.scores import score as scores_of
from ipt_jax.workdir.json_files import append_rows, read_rows, repair, write_rows

_NEEDED = {"id": str, "prediction": str}  # what every row of predictions.jsonl must have
_MEASURED = ("stop", "log_probability", "new_tokens", "choices", CONFIDENCE)  # and what its end tells of the decoding


@dataclasses.dataclass(frozen=True)
class Member:
    """One run's part in an evaluation: its task and split, and the file that its predictions go to."""

    task: Task
    split: PreparedSplit
    predictions: Path


def predict(
    lm: FrozenLM,
    adapters: Injection | jax.Array,
    members: Sequence[Member],
    search: Search,
    *,
    batch_size: int,
    devices: Mesh,
    title: str,
) -> None:
    """Writes a row for every example of every member that has none yet, batch by batch; `score` is for afterwards.

    Rows that an earlier, killed process wrote are kept and not decoded again.

    Args:
      adapters: what is injected for the K members; prompt rows f32[K, P, E] alone, or more.
    """
    asked: dict[Request, int] = {}  # and which example of its member's split each is
    finished = processes.from_first(lambda: [_finished(member.predictions) for member in members])
    for k, (member, done) in enumerate(zip(members, map(set, finished), strict=True)):
        for i, id in enumerate(member.split.examples["id"]):
            if id not in done:
                asked[Request(member.split.rows[i].tokens, k, id, f"{member.task.name} {id}")] = i
    total = sum(len(member.split.rows) for member in members)
    is_first = processes.is_first()  # all processes decode every row together; the first one writes
    with Progress(
        total=total, initial=total - len(asked), desc=title, unit="example", disable=not is_first
    ) as progress:
        for batch in _answers(lm, adapters, members, asked, search, batch_size, devices):
            rows: dict[int, list[dict[str, Any]]] = {}
            for request, generated in batch if is_first else ():
                split = members[request.adapter].split
                rows.setdefault(request.adapter, []).append(_row(split, asked[request], generated))
            for k, fresh in rows.items():
                append_rows(members[k].predictions, fresh)
            progress.update(len(batch))
            preemption.check()


def _answers(
    lm: FrozenLM,
    adapters: Injection | jax.Array,
    members: Sequence[Member],
    asked: dict[Request, int],
    search: Search,
    batch_size: int,
    devices: Mesh,
) -> Iterator[list[tuple[Request, generation.Generation]]]:
    """What is written for each request, or, where its task has choices, chosen."""
    offered = {request: _offered(lm, members[request.adapter], i) for request, i in asked.items()}
    written = [request for request, choices in offered.items() if not choices]
    chosen = [request for request, choices in offered.items() if choices]
    if written:
        yield from generation.generate(lm, adapters, written, search, batch_size=batch_size, devices=devices)
    if chosen:
        texts, per_token = [offered[request] for request in chosen], members[0].task.per_token
        yield from choosing.choose(lm, adapters, chosen, texts, per_token=per_token, batch_size=batch_size)


def _offered(lm: FrozenLM, member: Member, index: int) -> list[tuple[str, list[int]]]:
    """The choices of an example, each with the tokens that it would be written with; nothing where there are none."""
    if not hasattr(member.task, "choices_of"):  # most tasks: no example has to be read for it
        return []
    template = member.split.template
    texts = choices_of(member.task, Example.from_row(member.split.examples[index]))
    return [(text, template.encoded_target(text, lm.tokenizer)) for text in texts]


def _finished(predictions: Path) -> list[str]:
    """The ids of the rows that an earlier process wrote."""
    if predictions.exists():
        repair(predictions)
    return [row["id"] for row in read_rows(predictions, _NEEDED)]


def _row(split: PreparedSplit, index: int, generated: generation.Generation) -> dict[str, Any]:
    """A row without its `score`: the devices do not wait for it."""
    example, row = Example.from_row(split.examples[index]), split.rows[index]
    chosen = generated.stop == choosing.CHOICE
    made = {"stop": generated.stop, "log_probability": generated.log_probability, "new_tokens": len(generated.tokens)}
    if chosen:
        made["choices"] = {each.text: each.score for each in generated.sequences}
        made[CONFIDENCE] = choosing.confidence(generated)
    return {
        "id": example.id,
        "input": row.source,
        "demonstrations": [{"id": d.id, "similarity": d.similarity} for d in row.demonstrations],
        "prediction": generated.text if chosen else split.template.answer(generated.text),
        "references": example.references,
        **made,
    }


def written(member: Member) -> list[int] | None:
    """Tokens written for each example, in the order of the split; None where an older version did not record them."""
    counts = {row["id"]: row.get("new_tokens") for row in read_rows(member.predictions, _NEEDED)}
    ordered = [counts[id] for id in member.split.examples["id"]]
    return None if None in ordered else ordered


def offered_lengths(lm: FrozenLM, member: Member) -> list[list[int]]:
    """How many tokens each choice of each example has; nothing where answers are written."""
    lengths = [[len(tokens) for _, tokens in _offered(lm, member, i)] for i in range(len(member.split.rows))]
    return lengths if any(lengths) else []


def empty(member: Member) -> int:
    """How many of a member's finished predictions are empty."""
    return sum(not row["prediction"] for row in read_rows(member.predictions))


def score(member: Member) -> Scores:
    """Scores a member's finished predictions, and writes into each row what its text alone is worth.

    The file is replaced as a whole: a row has its `score`, or the next call gives it one.

    Raises:
      InputError: an example has no prediction.
    """
    rows = read_rows(member.predictions, _NEEDED)
    predictions = {row["id"]: row["prediction"] for row in rows}
    ids = member.split.examples["id"][:]
    missing = [id for id in ids if id not in predictions]
    if missing:
        raise InputError(f"{member.predictions} lacks {len(missing)} of {len(ids)} examples, such as {missing[0]}")
    confident = {row["id"]: row.get(CONFIDENCE) for row in rows}
    examples = [_with_confidence(Example.from_row(row), confident) for row in member.split.examples]
    scores = scores_of(member.task, [predictions[id] for id in ids], examples)
    if not all("score" in row for row in rows):
        metric = example_headline(member.task)
        singles = {id: values.get(metric) for id, values in zip(ids, scores.examples, strict=True)}
        write_rows(member.predictions, [_with_score(row, singles.get(row["id"])) for row in rows])
    return scores


def _with_confidence(example: Example, confident: Mapping[str, float | None]) -> Example:
    """The example with the probability of its answer, where it was chosen; calibration is measured by it."""
    if confident[example.id] is None:
        return example
    return dataclasses.replace(example, details={**example.details, CONFIDENCE: confident[example.id]})


def _with_score(row: dict[str, Any], score: float | None) -> dict[str, Any]:
    """The row with its score behind the texts that it compares."""
    measured = {key: row[key] for key in _MEASURED if key in row}
    return {**{key: value for key, value in row.items() if key not in measured}, "score": score, **measured}
