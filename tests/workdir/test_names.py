"""The names of runs and methods."""

import pytest

from ipt_jax.workdir.names import method_label, run_id


def test_a_run_id_ignores_key_order_and_the_difference_of_tuple_and_list():
    assert run_id({"a": (1, 2), "b": {"x": 1, "y": 2}}) == run_id({"b": {"y": 2, "x": 1}, "a": [1, 2]})


def test_a_run_id_is_pinned_so_that_finished_runs_are_found_again_by_later_versions():
    # printf '{"k":1,"tâche":["dart"]}' | sha256sum
    assert run_id({"tâche": ("dart",), "k": 1}) == "a3d783eac06a"


def test_a_run_id_changes_with_any_leaf():
    config = {"task": {"name": "dart"}, "seed": 0}
    others = [{"task": {"name": "dart"}, "seed": 1}, {"task": {"name": "totto"}, "seed": 0}, {"seed": 0}]
    assert len({run_id(each) for each in [config, *others]}) == 4


def test_a_run_id_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        run_id({"learning_rate": float("nan")})


@pytest.mark.parametrize(
    ("numbers", "label"),
    [
        ((0, 0, None, 0, None), "zero-shot"),
        ((0, 1, "random", 0, None), "ICL, random one-shot"),
        ((0, 1, "dense", 0, None), "ICL, retrieved one-shot"),
        ((0, 3, "bm25", 0, ""), "ICL, retrieved three-shot"),
        ((0, 12, "dense", 0, None), "ICL, retrieved 12-shot"),
        ((25, 0, "dense", 100, None), "PT"),
        ((25, 1, "dense", 100, None), "IPT"),
        ((25, 1, "random", 100, None), "IPT, random one-shot"),
        ((25, 3, "dense", 100, None), "IPT, retrieved three-shot"),
        ((25, 1, "dense", 0, "a prompt"), "transfer, retrieved one-shot"),
        ((25, 0, None, 0, "a prompt"), "transfer, zero-shot"),
        ((25, 0, None, 0, None), "untrained prompt, zero-shot"),
        ((25, 0, None, 100, "a prompt"), "PT, from a prompt"),
    ],
)
def test_the_label_of_a_method_follows_from_its_numbers(numbers, label):
    assert method_label(*numbers) == label
