"""The report on prompts: nearest words, and runs that did not learn."""

import pytest
from report_samples import METHODS, make_workdir

from ipt_jax.report.looks.prompts import complaints, prompts
from ipt_jax.report.page.page import render
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, write_json

RATES = {0: (1e-3, 1.5), 1: (1e-2, 1.2), 2: (1e-1, 2.0)}  # variant → learning rate, best dev loss


@pytest.fixture
def searched(tmp_path):
    """A working directory in which PT was trained with three learning rates under one seed."""
    pt = (20, 0, None, 0, 0.5)
    make_workdir(tmp_path, examples=3, methods=[*METHODS[:1], *[(*pt[:3], seed, pt[4]) for seed in RATES]])
    for path in tmp_path.glob("runs/*/result.json"):
        result, config = read_json(path), read_json(path.with_name("run.json"))
        if result["training"]:
            rate, loss = RATES[result["seed"]]
            config["seed"] = result["seed"] = 0
            config["training"]["learning_rate"] = rate
            words = [{"word": word, "cosine": 0.5} for word in (" the", "\n", *"abcdefghijkl")]
            result["training"] |= {"learning_rate": rate, "best_dev_loss": loss, "nearest_words": words}
            result["training"] |= {"prompt_norm": 2.0, "prompt_moved": 0.25}
            result["training"]["complaint"] = "after 50 steps nothing" if rate == 1e-3 else None
            write_json(path, result)
            write_json(path.with_name("run.json"), config)
    return tmp_path


def test_results_that_say_nothing_of_their_prompts_give_no_table_and_no_complaint(tmp_path):
    (setting,) = collect([make_workdir(tmp_path, examples=3)]).settings
    assert prompts(setting) is None and complaints(setting) == []


def test_each_prompt_is_shown_by_its_size_its_path_and_the_words_near_it(searched):
    (setting,) = collect([searched]).settings
    row = prompts(setting).rows[0]
    assert row[2:] == ["2.000", "0.250", "0.500", "| the|↵|a|b|c|d|e|f|g|h|i|j| and 2 more"]


def test_the_page_has_the_words_of_the_chosen_prompt_and_the_complaint_about_another(searched):
    text = render([searched]).read_text()
    assert "nearest words of the vocabulary" in text and "after 50 steps nothing." in text
