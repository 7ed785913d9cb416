"""What the report says of several tasks together: main table, prompts on other tasks, the paper's claims."""

import csv
from dataclasses import replace

import pytest
from study_samples import TASKS, make_study

from ipt_jax.report.looks.claims import claims
from ipt_jax.report.looks.demonstrations import trained_and_tested
from ipt_jax.report.looks.overview import overviews
from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.kinds import PT


@pytest.fixture(scope="module")
def settings(study):
    return collect([study]).settings


@pytest.fixture(scope="module")
def found(settings):
    return {claim.claim: claim for claim in claims(settings, transfers(settings))}


def test_the_main_table_has_a_column_per_task_and_a_row_per_method_that_tasks_share(settings):
    (overview,) = overviews(settings)
    rows = {row[0]: row[1:] for row in overview.table.rows}
    assert len(overview.table.header) == 1 + len(TASKS)
    assert {"ICL, random one-shot", "ICL, retrieved one-shot", "PT", "IPT"} < rows.keys()
    assert rows["PT"][0].startswith(("50.", "49.")) and " ± " in rows["PT"][0]
    # Other lengths were run on one task alone, and have no row.
    assert not any("100 rows" in name for name in rows)


def test_the_main_table_has_the_papers_numbers_below(settings):
    (overview,) = overviews(settings)
    rows = {row[0]: row[1:] for row in overview.table.rows}
    tasks = [title.split(",")[0].lower() for title in overview.table.header[1:]]
    assert rows["Paper, BLOOM-1.1B: IPT"][tasks.index("mtop")] == "62.6 ± 0.7"
    assert "Paper, OPT-1.3B: ICL, random one-shot" not in rows


def test_scores_over_other_examples_stand_in_a_column_of_their_own(settings):
    ours = settings[0]
    pt, ipt = (type(ours)(tuple(m for m in ours.methods if m.label.startswith(name))) for name in ("PT", "IPT"))
    (overview,) = overviews([pt, ipt, *settings[1:]])
    rows = {row[0]: row[1:] for row in overview.table.rows}
    assert len(overview.table.header) == 1 + len(settings) + 1
    assert next(row for name, row in rows.items() if name.startswith("PT"))[1] == "–"


def test_one_task_has_no_main_table(settings):
    assert overviews(settings[:1]) == []


def test_a_prompt_on_another_task_is_compared_with_icl_there(settings):
    (matrix,) = transfers(settings)
    assert matrix.tasks == sorted(TASKS) and matrix.kind == PT and matrix.tested == "ICL, retrieved one-shot"
    differences = {(cell.source, cell.target): cell.judged.comparison.difference for cell in matrix.cells}
    assert len(differences) == 9
    assert differences["dart", "logic2text"] == pytest.approx(20) and differences["dart", "mtop"] == pytest.approx(-20)
    assert differences["dart", "dart"] == pytest.approx(0)
    assert {(cell.source, cell.target): cell.judged.verdict for cell in matrix.cells}["mtop", "dart"] == "supported"


def test_without_the_targets_icl_a_transfer_has_no_cell(settings):
    without = [type(s)(tuple(m for m in s.methods if m.prompt_tokens)) for s in settings]
    assert transfers(without) == []


def test_prompts_tested_in_another_way_than_they_were_tuned_have_a_table(settings):
    table = trained_and_tested(next(s for s in settings if s["task"] == "mtop"))
    assert table.header == ["Tuned as", "Tested zero-shot", "Tested retrieved one-shot"]
    assert [row[0] for row in table.rows] == ["PT"] and table.rows[0][2].startswith("39.8")


def test_every_claim_has_a_verdict_of_its_own(found):
    verdicts = {claim: each.verdict for claim, each in found.items()}
    assert verdicts == {
        "IPT does not always beat PT": "open",
        "IPT gains more on PT where the demonstration is more similar to the input": "supported",
        "The score of IPT varies less between seeds than that of PT": "supported",
        "The score of PT varies more between seeds the more prompt rows it has": "supported",
        "A prompt that was tuned on another task beats ICL with the same demonstrations": "open",
    }
    transfer = found["A prompt that was tuned on another task beats ICL with the same demonstrations"]
    assert "supports it in 4, contradicts it in 2 and leaves 0 open" in transfer.sentence
    assert len(transfer.evidence.rows) == 6


def test_claims_are_contradicted_by_data_that_say_the_opposite(tmp_path):
    settings = collect([make_study(tmp_path / "opposite", gain=-30.0, examples=20, seeds=3)]).settings
    similar = claims(settings, ())[1]
    assert similar.verdict == "contradicted" and similar.evidence.rows[0][1].startswith("\u2212")


def test_pt_that_wins_somewhere_supports_that_ipt_does_not_always_win(settings):
    ours = settings[0]
    raised = {id(m): 9.0 if m.label.startswith("PT") else 0.0 for m in ours.methods}
    methods = tuple(_raised(method, raised[id(method)]) for method in ours.methods)
    always = claims([type(ours)(methods)], ())[0]
    assert always.verdict == "supported" and "PT is better in at least one place" in always.sentence
    methods = tuple(_raised(method, 60.0 if method.label.startswith("IPT") else 0.0) for method in ours.methods)
    one = claims([type(ours)(methods)], ())[0]
    assert one.verdict == "open" and "one place does not say always" in one.sentence
    other = [_on_another_split(method) for method in methods]
    both = claims([type(ours)(methods), type(ours)(tuple(other))], ())[0]
    assert both.verdict == "contradicted" and "IPT is better in every place" in both.sentence
    assert "share its examples, and are one place" in both.sentence


def _on_another_split(method):
    runs = [type(run)({**run.result, "split": "dev"}, run.config, run.metrics, run.predictions) for run in method.runs]
    return type(method)(method.label, tuple(runs))


def _raised(method, by):
    runs = [
        type(run)(
            {**run.result, "score": run.result["score"] + by},
            run.config,
            run.metrics,
            [{**row, "score": row["score"] + by} for row in run.predictions],
        )
        for run in method.runs
    ]
    return type(method)(method.label, tuple(runs))


def test_without_runs_claims_are_untested():
    assert {claim.verdict for claim in claims((), ())} == {"untested"}


@pytest.mark.parametrize("other", [{"task": "jsonl"}, {"task_title": "Synthetic sample"}])
def test_the_papers_claims_are_judged_on_the_papers_tasks_alone(settings, other):
    """The same scores under another task, or of a generator's data, neither support nor contradict the paper."""
    changed = [_with_result(setting, other) for setting in settings]
    assert {claim.verdict for claim in claims(changed, ())} == {"untested"}
    assert {claim.verdict for claim in claims(settings, ())} > {"untested"}


def test_prompts_between_other_tasks_say_nothing_of_the_papers_claim(settings):
    (matrix,) = transfers(settings)
    cells = tuple(replace(cell, source=cell.source.replace("dart", "jsonl")) for cell in matrix.cells)
    only = [cell for cell in cells if "jsonl" in (cell.source, cell.target)]
    assert claims((), [replace(matrix, cells=tuple(only))])[-1].verdict == "untested"
    judged = claims((), [replace(matrix, cells=cells)])[-1]
    assert judged.verdict == "open" and len(judged.evidence.rows) == 4


def _with_result(setting, other):
    methods = [
        replace(m, runs=tuple(replace(run, result={**run.result, **other}) for run in m.runs)) for m in setting.methods
    ]
    return replace(setting, methods=tuple(methods))


def test_the_page_and_the_files_hold_table_claims_and_figures(study_report):
    assert '<h2 id="claims">' in study_report.read_text()
    files = {file.name for file in study_report.parent.iterdir()}
    for name in ("main_table", "claims", "views"):
        assert {f"{name}.{ending}" for ending in ("txt", "md", "tex", "csv")} <= files
    assert {"transfer1.svg", "transfer1.png"} <= files
    rows = list(csv.DictReader((study_report.parent / "main_table.csv").read_text().splitlines()))
    assert {"table", "row", "column", "value"} == rows[0].keys()
    assert any(row["row"] == "IPT" and row["column"].startswith("MTOP") for row in rows)
