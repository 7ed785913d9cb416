"""What somebody else wrote, as it leaves for a spreadsheet, a terminal or a reader of Markdown."""

import csv

import pytest
from study_samples import make_study

from ipt_jax.report import render, terminal_table
from ipt_jax.report.drawing.setting_tables import csv_text
from ipt_jax.tables import Table, markdown_block, text_block
from ipt_jax.workdir.json_files import read_json, write_json


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(1)", "+A1", "-A1", "\t=1", "=1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_a_text(text):
    ((cell,),) = csv.reader(csv_text([[text]]).splitlines())
    assert cell.startswith("'") and cell[1:].strip("\\t") in text


@pytest.mark.parametrize("value", [-1.5, "−0.3", "+3.8", "-1.2 to +0.4", "a = b", "", None])
def test_numbers_and_other_texts_stay_as_they_are(value):
    assert csv_text([["x", value]]) == f"x,{'' if value is None else value}\n"


def test_control_characters_and_links_are_no_part_of_a_table():
    table = Table(["Method", "a\x1b[2J"], [["[x](javascript:alert(1))", "\x07"]])
    text, markdown = text_block(["\x1b]0;t\x07"], table, []), markdown_block("\x1b", table, [])
    assert not set("\x1b\x07") & set(text + markdown)
    assert "\\[x\\](javascript" in markdown


def test_names_of_a_working_directory_reach_no_spreadsheet_and_no_terminal(tmp_path):
    workdir = make_study(tmp_path / "w", examples=4, seeds=1)
    for path in workdir.glob("runs/*/result.json"):
        odd = {"model": "=cmd|' /C calc'!A0", "task_title": "\x1b[2J\x1b]0;title\x07"}
        write_json(path, {**read_json(path), **odd})
    render([workdir], tmp_path / "report")
    files = [path.read_text() for path in (tmp_path / "report").glob("*.*") if path.suffix in (".csv", ".txt", ".md")]
    assert not any("\x1b" in text or "\x07" in text for text in [*files, terminal_table(workdir)])
    cells = [cell for path in (tmp_path / "report").glob("*.csv") for row in csv.reader(path.open()) for cell in row]
    assert cells and not [cell for cell in cells if cell.startswith(("=", "@"))]
