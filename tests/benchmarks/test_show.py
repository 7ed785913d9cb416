"""Tables of speed in the documents are those of the figures that lie in the repository."""

import json
from pathlib import Path

import pytest

from benchmarks.show import shown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "document"),
    [("training_avx512", "training"), ("training_avx2", "training"), ("decoding_avx2", "decoding")],
)
def test_a_table_of_speed_is_that_of_its_figures(name, document):
    figures = json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
    table = shown(figures)
    assert "| gpt2 " in table and figures["machine"]["processor"] in table
    assert f"<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->" in text
