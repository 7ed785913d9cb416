"""The same seed gives the same bytes of every file that holds a result, but for what is measured."""

import json

import pytest
from small_config import config_for

from ipt_jax.experiment import experiment

# What the machine was asked, and not the model: in result.json and its row, and in metrics.jsonl. The page shows them.
MEASURED = ("seconds", "host_wait", "examples_per_second", "compilations")


def without_measured(value):
    if isinstance(value, dict):
        return {key: without_measured(part) for key, part in value.items() if key not in MEASURED}
    return [without_measured(part) for part in value] if isinstance(value, list) else value


def contents(workdir, runs):
    """The content of every file of a working directory but the page, the locks (empty) and Orbax's folders, whose
    files have random names. Their state is that of the prompt's file and the metrics."""
    found = {}
    for path in sorted(path for path in workdir.rglob("*") if path.is_file()):
        place = path.relative_to(workdir)
        left_out = {"checkpoints", "locks", "index.html", "results.jsonl"} & set(place.parts)
        if left_out or (place.parts[0] == "runs" and place.parts[1] not in runs):
            continue
        content = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            lines = content.splitlines() if path.suffix == ".jsonl" else [content]
            content = [json.dumps(without_measured(json.loads(line))) for line in lines]
        found[place.as_posix()] = content
    rows = [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]
    return found | {"results.jsonl": [json.dumps(without_measured(row)) for row in rows if row["run"] in runs]}


def test_two_methods_done_again_leave_the_same_bytes(finished, lm_folder, cache, tmp_path):
    experiment.run(config_for(lm_folder, cache, "icl_retrieved_one_shot", "ipt"), tmp_path)
    runs = {path.name for path in (tmp_path / "runs").iterdir()}
    first, again = (
        {place: content for place, content in contents(folder, runs).items() if place.startswith(("runs/", "results"))}
        for folder in (finished, tmp_path)
    )
    assert len(runs) == 3 and len(first) >= 3 * 3 + 2 * 2
    assert first.keys() == again.keys()
    assert [place for place in first if first[place] != again[place]] == []


@pytest.mark.slow
def test_a_whole_experiment_done_again_leaves_the_same_bytes(finished, lm_folder, cache, tmp_path):
    experiment.run(config_for(lm_folder, cache), tmp_path)
    runs = {path.name for path in (tmp_path / "runs").iterdir()}
    first, again = contents(finished, runs), contents(tmp_path, runs)
    assert len(runs) == 8 and {"config.json", "report/table.csv", "report/scores.png"} <= first.keys()
    assert first.keys() == again.keys()
    assert [place for place in first if first[place] != again[place]] == []
