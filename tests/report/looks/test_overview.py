"""The paper's main table of several tasks."""

from study_samples import TASKS

from ipt_jax.report.looks.overview import overviews


def test_the_main_table_has_a_column_per_task_and_a_row_per_method_that_tasks_share(settings):
    (overview,) = overviews(settings)
    rows = {row[0]: row[1:] for row in overview.table.rows}
    assert len(overview.table.header) == 1 + len(TASKS)
    assert {"ICL, random one-shot", "ICL, retrieved one-shot", "PT", "IPT"} < rows.keys()
    assert rows["PT"][0].startswith(("50.", "49.")) and " ± " in rows["PT"][0]
    # Other lengths were run on one task alone, and have no row.
    assert not any("100 rows" in name for name in rows)


def test_the_main_table_has_the_papers_numbers_below(settings):
    (overview,) = overviews(settings)
    rows = {row[0]: row[1:] for row in overview.table.rows}
    tasks = [title.split(",")[0].lower() for title in overview.table.header[1:]]
    assert rows["Paper, BLOOM-1.1B: IPT"][tasks.index("mtop")] == "62.6 ± 0.7"
    assert "Paper, OPT-1.3B: ICL, random one-shot" not in rows


def test_scores_over_other_examples_stand_in_a_column_of_their_own(settings):
    ours = settings[0]
    pt, ipt = (type(ours)(tuple(m for m in ours.methods if m.label.startswith(name))) for name in ("PT", "IPT"))
    (overview,) = overviews([pt, ipt, *settings[1:]])
    rows = {row[0]: row[1:] for row in overview.table.rows}
    assert len(overview.table.header) == 1 + len(settings) + 1
    assert next(row for name, row in rows.items() if name.startswith("PT"))[1] == "–"


def test_one_task_has_no_main_table(settings):
    assert overviews(settings[:1]) == []
