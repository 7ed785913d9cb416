"""The score against the number of training examples."""

import dataclasses

import pytest
from report_samples import make_workdir

from ipt_jax.report.looks.data_size import by_data_size
from ipt_jax.report.looks.views import views
from ipt_jax.report.reading.collect import collect


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """PT, IPT and retrieved ICL with 100 and 1,000 training examples, the larger one a point better."""
    (made,) = collect([make_workdir(tmp_path_factory.mktemp("some"), examples=20)]).settings
    methods = []
    for size, gain in ((1000, 1.0), (100, 0.0)):
        for method in made.methods:
            if method.demonstrations or method.prompt_tokens:
                runs = [_of(run, size, gain) for run in method.runs]
                methods.append(dataclasses.replace(method, label=f"{method.label} ({size})", runs=tuple(runs)))
    return dataclasses.replace(made, methods=tuple(methods))


def _of(run, size, gain):
    changed = {"limit": {"train": size}, "score": run.result["score"] + gain, "arithmetic": {"train": 1e12 * size}}
    return dataclasses.replace(run, result={**run.result, **changed})


def test_each_kind_has_its_scores_by_the_examples_that_it_learned_from(setting):
    found = {each.label: each for each in by_data_size(setting)}
    assert {"PT", "IPT", "ICL, retrieved one-shot"} <= set(found)
    for each in found.values():
        assert list(each.points) == [100, 1000] and each.flop == {100: 1e14, 1000: 1e15}
        assert each.points[1000].mean == pytest.approx(each.points[100].mean + 1.0)
    assert found["PT"].points[100].n == 2


def test_the_view_has_a_figure_and_a_row_for_each_number_of_examples(setting):
    (view,) = [view for view in views(setting) if view.title == "By number of training examples"]
    ((_, table),) = view.tables
    assert [row[0] for row in table.rows] == ["100", "1,000"] and "PT" in table.header
    assert view.figures[0].name == "data_size" and "<svg" in view.figures[0].inline


def test_with_one_number_of_examples_there_is_nothing_to_show(setting):
    alone = dataclasses.replace(setting, methods=tuple(m for m in setting.methods if m.label.endswith("(100)")))
    assert by_data_size(alone) == []
    assert not [view for view in views(alone) if view.title == "By number of training examples"]
