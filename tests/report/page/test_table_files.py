"""Tables as files beside the page."""

import csv


def test_the_page_and_the_files_hold_table_claims_and_figures(study_report):
    assert '<h2 id="claims">' in study_report.read_text()
    files = {file.name for file in study_report.parent.iterdir()}
    for name in ("main_table", "claims", "views"):
        assert {f"{name}.{ending}" for ending in ("txt", "md", "tex", "csv")} <= files
    assert {"transfer1.svg", "transfer1.png"} <= files
    rows = list(csv.DictReader((study_report.parent / "main_table.csv").read_text().splitlines()))
    assert {"table", "row", "column", "value"} == rows[0].keys()
    assert any(row["row"] == "IPT" and row["column"].startswith("MTOP") for row in rows)
