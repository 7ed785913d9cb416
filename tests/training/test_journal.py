"""Metrics in a file for each member: rows that are told again, and members that do not learn."""

import pytest

from ipt_jax.training import journal as module
from ipt_jax.training.journal import JsonLinesJournal
from ipt_jax.workdir.json_files import read_rows


@pytest.fixture
def files(tmp_path):
    return [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]


@pytest.fixture
def journal(files):
    return JsonLinesJournal("the training", files, ["run a", "run b"], warn_after=1)


def row(step, **more):
    return {"step": step, "loss": 1.0, **more}


def test_each_member_has_a_file_of_its_own(journal, files):
    journal.log(0, [row(1)])
    journal.log(1, [row(1), row(2)])
    assert [[each["step"] for each in read_rows(file)] for file in files] == [[1], [1, 2]]


@pytest.mark.parametrize(("step", "left"), [(-1, []), (0, []), (2, [1, 2]), (9, [1, 2, 3])])
def test_rows_behind_the_step_that_is_gone_on_from_are_forgotten(journal, files, step, left):
    journal.log(0, [row(1), row(2), row(3)])
    journal.rewind(step)
    assert [each["step"] for each in read_rows(files[0])] == left


def test_a_rewind_without_any_row_makes_no_file(journal, files):
    journal.rewind(0)
    assert not files[0].exists()


def test_a_member_that_does_not_learn_is_warned_of_once_and_by_its_name(journal, monkeypatch, caplog):
    monkeypatch.setattr(module.monitors, "complaint", lambda rows, after: "it stands still")
    journal.log(1, [row(1)])
    assert not caplog.messages  # only where a dev loss was measured
    for step in (2, 3):
        journal.log(1, [row(step, dev_loss=1.0)])
    assert caplog.messages == ["run b: it stands still"]


def test_only_the_first_process_writes(journal, files, monkeypatch):
    monkeypatch.setattr(module.processes, "is_first", lambda: False)
    journal.log(0, [row(1)])
    assert not files[0].exists()
