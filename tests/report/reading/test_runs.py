"""What makes two runs repetitions of one method."""

import pytest

from ipt_jax.report.reading.runs import Run, Unscored, flatten, identity, resolved

RESULT = {"run": "a", "method": "PT", "metric": "m", "score": 1.0, "prompt_tokens": 5, "seed": 3}
CONFIG = {"seed": 3, "name": "pt", "training": {"learning_rate": 0.1, "steps": 5}, "prompt": {"source": ""}}


def of(config):
    return Run(RESULT, config)


def test_seeds_names_places_and_learning_rates_make_no_other_method():
    other = {**CONFIG, "seed": 9, "name": "else", "data_dir": "/x", "training": {"learning_rate": 0.2, "steps": 5}}
    assert identity(of(CONFIG)) == identity(of(other))


def test_steps_do():
    assert identity(of(CONFIG)) != identity(of({**CONFIG, "training": {"learning_rate": 0.1, "steps": 6}}))


def test_a_prompt_of_another_run_is_told_apart_by_its_method_and_one_of_a_file_by_the_file():
    taken, other = ({**CONFIG, "prompt": {"source": f"run:{id}"}} for id in ("abc", "def"))
    assert resolved(of(taken)) == resolved(of(other))
    files = [{**CONFIG, "prompt": {"source": path}} for path in ("a.npy", "b.npy")]
    assert resolved(of(files[0])) != resolved(of(files[1]))


def test_results_from_before_other_adapters_are_of_prompts():
    assert identity(of(CONFIG)) == identity(Run({**RESULT, "adapter": "prompt"}, CONFIG))


def test_flattened_leaves_have_their_path():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


@pytest.mark.parametrize(("predictions", "empty"), [((), None), (({"prediction": " "}, {"prediction": "x"}), 1)])
def test_empty_answers_are_counted_where_an_older_result_does_not_say(predictions, empty):
    assert Run(RESULT, {}, (), predictions).empty == empty
    assert Run({**RESULT, "empty": 7}, {}, (), predictions).empty == 7


def test_a_run_without_a_result_knows_its_seed_and_rate_from_its_config():
    unscored = Unscored("a", CONFIG, None)
    assert (unscored.seed, unscored.learning_rate) == (3, 0.1)
    assert (Unscored("a", {}, None).seed, Unscored("a", {}, None).learning_rate) == (0, None)
