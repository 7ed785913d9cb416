"""The paper's claims, judged on runs of several tasks."""

from dataclasses import replace

import pytest
from study_samples import make_study

from ipt_jax.report.looks.claims import claims
from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.reading.collect import collect


@pytest.fixture(scope="module")
def found(settings):
    return {claim.claim: claim for claim in claims(settings, transfers(settings))}


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


def test_a_claim_says_what_its_test_could_have_found(tmp_path):
    few, many = (
        claims(collect([make_study(tmp_path / str(seeds), examples=20, seeds=seeds)]).settings, ()) for seeds in (3, 15)
    )
    reach = [claim[2].evidence.rows[0][claim[2].evidence.header.index("Could have found")] for claim in (few, many)]
    assert reach[0] == "nothing" and 1 < float(reach[1]) < 20
    similar = few[1].evidence
    assert 0.3 < float(similar.rows[0][similar.header.index("Could have found")]) < 1


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
