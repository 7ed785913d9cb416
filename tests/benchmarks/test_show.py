"""Tables of speed in the documents are those of the figures that lie in the repository."""

import json
from pathlib import Path

import pytest

from benchmarks.show import shown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "document", "case"),
    [
        ("training_avx512", "training", "gpt2"),
        ("training_avx2", "training", "gpt2"),
        ("decoding_avx2", "decoding", "gpt2"),
        ("adapters_avx512", "adapters", "smollm2-mtop-lora"),
    ],
)
def test_a_table_of_speed_is_that_of_its_figures(name, document, case):
    figures = json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
    table = shown(figures)
    assert f"| {case} " in table and figures["machine"]["processor"] in table
    assert f"<!-- {name} -->\n\n{table}\n\n<!-- /{name} -->" in text
