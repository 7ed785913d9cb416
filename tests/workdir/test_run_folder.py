"""Run folders and JSON Lines: ids, torn lines, a full disk, concurrent writers, finishing twice."""

import errno
import os
from pathlib import Path

import pytest
from commands import start_python

from ipt_jax.workdir import json_files
from ipt_jax.workdir.json_files import read_json, read_rows, write_json
from ipt_jax.workdir.run_folder import RunFolder, run_folders, sync_results

PACKAGE = Path(json_files.__file__).parent


def run_python(source: str, *arguments: str) -> str:
    process = start_python(source, *arguments)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "a file system without hard links"])
def test_finishing_a_run_twice_keeps_the_first_result_and_one_row(tmp_path, monkeypatch, links):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    folder = RunFolder(tmp_path, "abc")
    assert not folder.finished
    folder.finish({"run": "abc", "score": 1.0})
    folder.finish({"run": "abc", "score": 2.0})
    assert folder.finished
    assert read_json(folder.result) == {"run": "abc", "score": 1.0}
    assert read_rows(tmp_path / "results.jsonl") == [{"run": "abc", "score": 1.0}]
    assert not [path.name for path in folder.path.iterdir() if path.name.startswith(".")]


def test_a_result_of_another_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'xyz' does not belong"):
        RunFolder(tmp_path, "abc").finish({"run": "xyz"})
    assert not RunFolder(tmp_path, "abc").finished


def test_a_row_that_a_kill_kept_from_being_appended_is_appended_by_the_next_sync(tmp_path):
    RunFolder(tmp_path, "a").finish({"run": "a"})
    for name in ("b", "c"):
        RunFolder(tmp_path, name).path.mkdir(parents=True)
    write_json(RunFolder(tmp_path, "b").result, {"run": "b"})  # as if killed between the two writes
    assert sync_results(tmp_path) == 1
    assert sync_results(tmp_path) == 0
    assert [row["run"] for row in read_rows(tmp_path / "results.jsonl")] == ["a", "b"]
    assert [folder.run_id for folder in run_folders(tmp_path)] == ["a", "b", "c"]


def test_a_working_directory_without_runs_syncs_nothing(tmp_path):
    assert sync_results(tmp_path) == 0
    assert not (tmp_path / "results.jsonl").exists()


def test_the_results_store_does_not_import_jax():
    assert (
        run_python('import ipt_jax.workdir.run_folder; print([name for name in sys.modules if name == "jax"])')
        == "[]\n"
    )


def test_the_files_of_a_run_folder_are_those_the_design_names(tmp_path):
    folder = RunFolder(tmp_path, "abc")
    paths = [folder.run_json, folder.metrics, folder.checkpoints, folder.prompt, folder.predictions, folder.result]
    assert {path.parent for path in paths} == {tmp_path / "runs" / "abc"}
    assert " ".join(path.name for path in paths) == (
        "run.json metrics.jsonl checkpoints prompt.safetensors predictions.jsonl result.json"
    )
