"""What is told while runs are carried out."""

import logging

import pytest

from ipt_jax.experiment import execution
from ipt_jax.workdir.run_folder import RunFolder


@pytest.mark.parametrize(
    ("training", "told"),
    [(None, "ICL: exact_match 12.5"), ({"steps": 3}, "ICL, seed 7: exact_match 12.5")],
)
def test_what_a_run_came_to_is_told_when_it_is_finished(tmp_path, caplog, training, told):
    result = {"run": "a", "method": "ICL", "seed": 7, "training": training, "metric": "exact_match", "score": 12.46}
    with caplog.at_level(logging.INFO, logger="ipt_jax"):
        execution._write(RunFolder(tmp_path, "a"), result)
    assert RunFolder(tmp_path, "a").finished
    assert [record.getMessage() for record in caplog.records] == [told]
