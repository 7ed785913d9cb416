"""The command that runs experiments: which flags go together, and what is printed for whom."""

import json

import pytest
from commands import call
from small_config import config_for


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--config must be given"),
        (("--config=quickstart", "--plan", "--distributed"), "--plan and --list are for one process"),
        (("--config=quickstart", "--format=json"), "--format=json is for --plan and --list"),
    ],
)
def test_flags_that_do_not_go_together_are_one_line(flags, message):
    done = call("ipt_jax.main", *flags)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def small(lm_folder, cache, tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "small.py"
    chosen = config_for(lm_folder, cache, "zero_shot", "pt")
    file.write_text(
        "import small_config\n\n\ndef get_config():\n"
        f"    return small_config.config_for({chosen.model.source!r}, {str(cache)!r}, 'zero_shot', 'pt')\n"
    )
    return file


def test_a_list_is_lines_for_people_and_objects_for_programs(small, tmp_path):
    told, listed = (
        call("ipt_jax.main", f"--config={small}", f"--workdir={tmp_path}", "--list", *more)
        for more in ((), ("--format=json",))
    )
    jobs = json.loads(listed.stdout)
    assert [line.split("\t")[0] for line in told.stdout.splitlines()] == [job["id"] for job in jobs]
    assert sum(len(job["runs"]) for job in jobs) == 3


def test_help_of_a_config_has_its_settings_with_their_values_and_meaning():
    done = call("ipt_jax.main", "--config=quickstart", "--help")
    assert done.returncode in (0, 1)
    assert "training.learning_rate" in done.stdout and "0.03" in done.stdout
