"""Looks at runs: which of them a setting has runs for, and what they draw."""

from ipt_jax.report.looks.transfer import transfers
from ipt_jax.report.looks.views import views, views_across


def test_a_setting_has_the_looks_that_it_has_runs_for(setting):
    found = views(setting)
    assert [view.title for view in found][0] == "Tuning against retrieval"
    assert all(view.tables for view in found)
    assert "Kinds of adapter" not in {view.title for view in found}


def test_prompt_lengths_are_drawn_with_both_methods_and_a_row_each(settings):
    view = next(view for setting in settings for view in views(setting) if view.title == "By prompt length")
    ((_, table),), (figure,) = view.tables, view.figures
    assert table.header[:3] == ["Prompt rows", "PT", "IPT"]
    assert [int(row[0]) for row in table.rows] == sorted(int(row[0]) for row in table.rows)
    assert "PT" in figure.inline and "IPT" in figure.inline


def test_bins_of_similarity_hold_every_example_in_both_cuts(setting):
    view = next(view for view in views(setting) if view.title == "By similarity")
    counts = [sum(int(row[-1]) for row in table.rows) for _, table in view.tables]
    assert len(counts) == 2 and counts[0] == counts[1] > 0


def test_figures_of_one_page_have_ids_of_their_own(settings):
    looks = [view for i, setting in enumerate(settings) for view in views(setting, f"s{i}_")]
    inlines = [figure.inline for view in looks for figure in view.figures]
    starts = [inline.partition('id="')[2].partition('"')[0] for inline in inlines]
    assert len(set(starts)) == len(starts) > 1


def test_tasks_together_have_the_main_table_and_a_view_for_each_way_of_transfer(settings):
    matrices = transfers(settings)
    found = views_across(settings, matrices)
    assert found[0].title == "Main table"
    assert len(found) == 1 + len(matrices)
    (_, table) = found[1].tables[0]
    assert table.rows[-1][0] == matrices[0].tested  # ICL's own scores stand below


def test_one_task_alone_has_nothing_across(setting):
    assert views_across([setting], []) == []
