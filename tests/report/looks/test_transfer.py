"""Prompts on other tasks, against ICL there."""

import pytest
from study_samples import TASKS

from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.reading.kinds import PT


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
