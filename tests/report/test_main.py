"""The command that writes a report."""

import subprocess
import sys

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.errors import InputError
from ipt_jax.report.__main__ import main


def test_the_command_prints_where_the_report_is_and_explains_what_it_misses(tmp_path):
    make_workdir(tmp_path / "work", examples=3, methods=METHODS[:1])
    command = [sys.executable, "-m", "ipt_jax.report", str(tmp_path / "work"), f"--output={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "out" / "index.html"), done.stderr
    assert "zero-shot" in (tmp_path / "out" / "table.md").read_text()
    with pytest.raises(InputError, match="usage"):
        main(["ipt_jax.report"])
