"""Prompts tested in another way than they were tuned."""

from ipt_jax.report.looks.demonstrations import trained_and_tested


def test_prompts_tested_in_another_way_than_they_were_tuned_have_a_table(settings):
    table = trained_and_tested(next(s for s in settings if s["task"] == "mtop"))
    assert table.header == ["Tuned as", "Tested zero-shot", "Tested retrieved one-shot"]
    assert [row[0] for row in table.rows] == ["PT"] and table.rows[0][2].startswith("39.8")
