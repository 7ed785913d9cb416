"""docs/results and the README's headline: every number in them is one of the runs in results.jsonl."""

import re
import statistics
from collections import defaultdict

import pytest
from paths import ROOT

from ipt_jax.workdir.json_files import read_rows

RESULTS = ROOT / "docs" / "results"
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("README.md"), *ROOT.glob("*/*.md")))
ROWS = read_rows(RESULTS / "study" / "results.jsonl")
PAPER = "| Paper, "


def table_lines(path):
    """The body of the first table of a Markdown file, a line per row."""
    found = re.search(r"^\| ?Method .*\n\| ?-.*\n((?:\|.*\n)+)", path.read_text(), re.MULTILINE)
    return found[1].splitlines()


def main_table():
    """(method, task) → the cell of the main table, by the results alone."""
    scores = defaultdict(list)
    for row in ROWS:
        if row["prompt_tokens"] in (0, 25) and not row["prompt_source"]:
            scores[row["method"], row["task"]].append(row["score"])
    return {
        key: f"{statistics.mean(found):.1f}" + (f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else "")
        for key, found in scores.items()
    }


def test_the_headline_of_the_readme_has_the_scores_of_the_results():
    expected, ours = main_table(), [line for line in table_lines(ROOT / "README.md") if not line.startswith(PAPER)]
    assert len(ours) == 6
    for line in ours:
        method, dart, mtop = (cell.strip() for cell in line.strip("| ").split("|"))
        assert (dart, mtop) == (expected[method, "dart"], expected[method, "mtop"]), method


def test_the_headline_of_the_readme_stands_in_the_table_that_the_report_wrote():
    assert set(table_lines(ROOT / "README.md")) <= set(table_lines(RESULTS / "study" / "main_table.md"))


def test_tuned_methods_have_three_seeds_and_every_score_is_over_the_stated_examples():
    seeds = defaultdict(set)
    for row in ROWS:
        assert row["examples"] == 200 and row["limit"].get("train", 3000) == 3000
        if row["training"]:
            assert row["training"]["steps"] == 120
            seeds[row["task"], row["method"], row["prompt_tokens"]].add(row["seed"])
    assert {("dart", "PT", 25), ("dart", "IPT", 25), ("mtop", "PT", 25), ("mtop", "IPT", 25)} <= set(seeds)
    assert set(map(frozenset, seeds.values())) == {frozenset({0, 1, 2})}


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("results.jsonl")), ids=lambda path: path.parent.name)
def test_published_results_name_their_versions_and_no_folder_of_a_machine(path):
    for row in read_rows(path):
        assert {"python", "ipt_jax", "jax", "transformers"} <= set(row["versions"])
    assert not re.search(r'"/\w+/', path.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_to_is_in_the_repository(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


def test_the_table_of_five_seeds_is_that_of_its_results():
    """And what is said of it in the README."""
    rows = defaultdict(list)
    for row in read_rows(RESULTS / "variance" / "results.jsonl"):
        assert row["examples"] == 200 and (not row["training"] or row["training"]["steps"] == 480)
        rows[row["method"]].append(row)
    assert {method: len(found) for method, found in rows.items() if len(found) > 1} == {"PT": 15, "IPT": 15}
    page = (RESULTS / "README.md").read_text()
    section = page.partition("## MTOP with four times the steps and fifteen seeds")[2].partition("\n## ")[0]
    lines = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)[2:]
    ]
    assert {line[0].removesuffix(" †") for line in lines} == set(rows)
    for method, exact, _, intent, seeds in lines:
        found = rows[method.removesuffix(" †")]
        for metric, cell in (("exact_match", exact), ("intent_match", intent)):
            values = [row["scores"][metric] for row in found]
            deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            assert cell == f"{statistics.mean(values):.1f}{deviation}"
        assert int(seeds) == len(found)
    readme = (ROOT / "README.md").read_text()
    for method in ("PT", "IPT"):
        assert next(exact for name, exact, *_ in lines if name == method) in readme
