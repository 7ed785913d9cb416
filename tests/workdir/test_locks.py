"""Files that one program has for itself."""

import subprocess
import sys

import pytest

from ipt_jax.errors import InputError
from ipt_jax.workdir.locks import try_lock

HOLD = """
import sys
from ipt_jax.workdir.locks import try_lock

held = try_lock(sys.argv[1:])
print(held is not None, flush=True)
sys.stdin.read()
"""


def test_another_program_gets_none_until_the_first_has_ended_however_it_ends(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        assert try_lock([path]) is None
        other.kill()
        other.wait()
        with try_lock([path]) as held:
            assert held is not None


def test_all_are_held_or_none(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    with try_lock([second]):
        assert try_lock([first, second]) is None
        with try_lock([first]) as held:  # the attempt above has let it go
            assert held is not None


def test_what_lies_in_a_lock_stays(tmp_path):
    (tmp_path / "lock").write_text("kept")
    with try_lock([tmp_path / "lock"]):
        pass
    assert (tmp_path / "lock").read_text() == "kept"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="missing"):
        try_lock([tmp_path / "missing" / "lock"])
