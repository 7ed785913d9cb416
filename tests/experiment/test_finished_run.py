"""A finished run's folder: what it says is believed where it is the run's."""

import pytest
from fuzz_models import write_finished_run

from ipt_jax.errors import InputError
from ipt_jax.experiment.finished_run import load_run
from ipt_jax.workdir.json_files import read_json, write_json


@pytest.fixture
def folder(tmp_path):
    write_finished_run(tmp_path)
    (folder,) = (tmp_path / "work" / "runs").iterdir()
    return folder


@pytest.mark.parametrize("layout", [{"prompt_tokens": 1}, {"demonstrations": 2}, {"template": {"query": "{input}"}}])
def test_settings_that_are_not_what_the_run_was_made_with_are_refused(folder, layout):
    described = read_json(folder / "run.json")
    write_json(folder / "run.json", {**described, "layout": {**described["layout"], **layout}})
    with pytest.raises(InputError, match=rf"run.json describes run \w+, not {folder.name}: it was changed"):
        load_run(folder)


def test_what_is_not_part_of_the_run_may_be_another(folder):
    write_json(folder / "run.json", {**read_json(folder / "run.json"), "name": "other"})
    assert load_run(folder).prompt.shape == (2, 8)
