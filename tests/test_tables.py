"""A table as LaTeX: it compiles, its best is bold, and whatever a name has in it is shown."""

import shutil
import subprocess

import pytest

from ipt_jax.tables import Table, latex_block

HEADER = ["Method", "BLEU (100 %)", "95 % interval", "Prompt rows"]
ROWS = [
    ["zero-shot †", "1.8", "0.9 to 2.7", "0"],
    ["IPT & more, 50 %_#{x}^~\\", "24.2 ± 1.6", "\u22120.3 to +1.5", "25"],
    ["PT <b> | $2 → ≤3 × ≥4", "24.2 ± 0.4", "–", "25"],
    ["Paper, BLOOM-1.1B: PT", "41.2 ± 0.9", "–", "25"],
]
NOTES = ["Mean ± deviation; 5 % of a_b.", "Signature: nrefs:var|case:mixed|tok:13a"]


def test_the_best_of_a_column_of_scores_is_bold_and_the_papers_own_is_not_ours():
    text = latex_block("DART, test split", Table(HEADER, ROWS, scores=1), NOTES)
    assert r"\textbf{24.2} $\pm$ 1.6" in text and r"\textbf{24.2} $\pm$ 0.4" in text
    assert r"& 1.8 &" in text and r"& 41.2 $\pm$ 0.9 &" in text and r"\textbf{25}" not in text
    assert r"\label{tab:dart-test-split}" in text and "$-$0.3 to +1.5" in text
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert caption == r"\caption{DART, test split.}" and r"\par Signature: nrefs:var$|$case" in text


def test_where_all_are_alike_none_is_best():
    assert r"\textbf" not in latex_block("A", Table(["M", "S"], [["a", "1.0"], ["b", "1.0"]], scores=1), [])


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs a TeX engine")
def test_it_compiles(tmp_path):
    table = latex_block("DART & co., 100 %", Table(HEADER, ROWS, scores=1), NOTES)
    again = latex_block("Another", Table(HEADER, ROWS, scores=2), [])
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + f"\n{table}\n{again}\n"
    (tmp_path / "a.tex").write_text(document + r"See \ref{tab:dart-co-100}.\end{document}", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "a.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout and (tmp_path / "a.pdf").stat().st_size > 1000
