"""Working directories, read into settings and methods."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.errors import InputError
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import run_folders


def test_seeds_are_joined_and_methods_stand_in_the_order_of_the_paper(setting):
    assert [(method.label, len(method.runs)) for method in setting.methods] == [
        ("zero-shot", 1),
        ("ICL, random one-shot", 1),
        ("ICL, retrieved one-shot", 1),
        ("ICL, retrieved three-shot", 1),
        ("PT", 2),
        ("IPT", 2),
    ]


def test_runs_that_differ_in_more_than_the_seed_are_kept_apart_and_say_in_what(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[4:6])
    folder = run_folders(tmp_path)[0]
    config = read_json(folder.run_json)
    write_json(folder.run_json, {**config, "training": {"steps": 150, "batch_size": 4}})
    (setting,) = collect([tmp_path]).settings
    assert sorted(method.label for method in setting.methods) == [
        "PT (batch_size=4)",
        "PT (batch_size=null)",
    ]


def test_runs_on_other_data_are_never_in_one_table(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[:2])
    result = run_folders(tmp_path)[0].result
    write_json(result, {**read_json(result), "data_hash": "other"})
    assert [len(setting.methods) for setting in collect([tmp_path]).settings] == [1, 1]


def test_a_run_in_two_working_directories_counts_once(quickstart):
    both = collect([quickstart, quickstart])
    assert [len(method.runs) for method in both.settings[0].methods] == [1, 1, 1, 1, 2, 2]
    assert any("in several working directories" in note for note in both.notes)


def test_a_working_directory_that_does_not_exist_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such working directory"):
        collect([tmp_path / "absent"])
