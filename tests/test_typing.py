"""The README's Python example under mypy's strict rules, as a user's own code that imports the installed package."""

import importlib.util
import re
import subprocess
import sys

import pytest
from paths import ROOT

EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[1]
TYPES = """
reveal_type(lm.generate(["a"]))
reveal_type(lm.generate([[1, 2]], num_beams=2, num_return_sequences=2))
reveal_type(ipt_jax.load_adapter("a"))
reveal_type(ipt_jax.run)
"""


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="needs mypy; pip install ipt_jax[test]")
def test_the_readmes_example_passes_mypy_strict_and_an_answer_is_of_one_type(tmp_path):
    (tmp_path / "example.py").write_text(EXAMPLE + TYPES, encoding="utf-8")
    flags = ["--strict", "--follow-imports=silent", "--ignore-missing-imports", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "example.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert "Success: no issues found" in done.stdout, done.stdout + done.stderr
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout.replace("builtins.", ""))
    generation = "list[ipt_jax.decoding.strategy.Generation]"
    assert revealed[:2] == [generation, generation]
    assert "TrainedAdapter" in revealed[2] and "Mapping[str, Any]" in revealed[3]


def test_the_package_says_that_it_has_types():
    assert (ROOT / "ipt_jax" / "py.typed").is_file()
    assert "ipt_jax = py.typed" in (ROOT / "setup.cfg").read_text(encoding="utf-8")
