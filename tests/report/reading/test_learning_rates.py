"""The report on learning-rate searches: which rate is chosen, what the tables then show, and what is said of it."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest
from report_samples import FAILED, LOSSES, METHODS, UNFINISHED, add_search, make_workdir

from ipt_jax.report import render, terminal_table
from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.looks.curves import search_curve
from ipt_jax.report.looks.findings import findings
from ipt_jax.report.page.explorer import explorer_columns
from ipt_jax.report.page.learning_rate_tables import as_files, search_table
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import read_json, write_json
from ipt_jax.workdir.run_folder import run_folders


def searched(workdir, losses, **options):
    """The setting of a working directory with nothing but this search."""
    make_workdir(workdir, examples=4, methods=[])
    (setting,) = collect([add_search(workdir, losses, examples=4, **options)]).settings
    return setting


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Two untuned methods, and PT with five learning rates and two seeds, of which one run failed; read-only."""
    made = make_workdir(tmp_path_factory.mktemp("search") / "work", examples=12, methods=METHODS[1:3])
    return add_search(made, LOSSES, examples=12)


@pytest.fixture(scope="module")
def setting(workdir):
    (only,) = collect([workdir]).settings
    return only


def chosen_rate(setting):
    (search,) = setting.searches
    return search.chosen and search.chosen.rate


def test_the_rate_with_the_lowest_mean_dev_loss_is_chosen_and_not_the_one_with_the_best_run_or_score(setting):
    (search,) = setting.searches
    assert chosen_rate(setting) == 1e-2
    runs = {candidate.rate: candidate.runs for candidate in search.candidates}
    assert min(search.runs, key=lambda run: run.training["best_dev_loss"]) in runs[3e-2]
    assert max(search.runs, key=lambda run: run.result["score"]) in runs[1e-1]


def test_the_main_table_has_the_chosen_rates_runs_alone_and_says_so(setting):
    (method,) = [method for method in setting.methods if method.runs[0].trained]
    assert (method.label, [(run.learning_rate, run.seed) for run in method.runs]) == ("PT", [(1e-2, 0), (1e-2, 1)])
    scores = [run.result["score"] for run in method.runs]
    assert setting_tables.table(setting).rows[-1][:2] == ["PT", str(setting_tables.spread(scores))]
    sentence = "PT: of the 5 learning rates tried, 0.01 is chosen by the lowest mean dev loss, 1.2650."
    texts = [setting_tables.as_text(setting), setting_tables.as_latex([setting]), setting_tables.as_markdown([setting])]
    assert all(sentence in text for text in texts)


def test_claims_are_made_for_the_chosen_rate_only(setting):
    assert [finding.claim for finding in findings(setting)] == [
        "ICL, retrieved one-shot beats ICL, random one-shot",
        "PT beats ICL, random one-shot",
    ]


def test_the_table_of_a_search_has_a_row_per_rate_with_its_spread_its_score_and_what_came_of_it(setting):
    (search,) = setting.searches
    content = search_table(setting, search)
    assert content.header[1:3] == ["Best dev loss", "BLEU (UnifiedSKG), test"]
    assert [(row[0], row[1], *row[3:]) for row in content.rows] == [
        ("0.001", "1.4400 ± 0.0141", "124, 99", "0, 1", ""),
        ("0.003", "1.3300 ± 0.0283", "124, 99", "0, 1", ""),
        ("0.01", "1.2650 ± 0.0071", "124, 99", "0, 1", "chosen"),
        ("0.03", "1.2700 ± 0.0424", "124, 99", "0, 1", ""),
        ("0.1", "1.4800", "124", "0", "failed: seed 1 at step 37"),
    ]
    assert content.rows[2][2] == setting_tables.table(setting).rows[-1][1]


def test_a_rate_of_which_one_run_failed_is_not_chosen_however_good_the_other_is(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.5, 1: 1.5}, 1e-2: {0: 1.0, 1: FAILED}})
    assert chosen_rate(setting) == 1e-3


def test_a_failed_run_is_said_to_have_failed_and_not_to_go_on(workdir):
    notes = collect([workdir]).notes
    assert [note for note in notes if "stopped being finite at step 37" in note]
    assert not [note for note in notes if "Not finished" in note]


def test_a_population_whose_members_all_failed_is_said_to_have_failed(tmp_path):
    make_workdir(tmp_path, examples=4, methods=METHODS[:1])
    add_search(tmp_path, {1e-3: {0: FAILED}, 1e-2: {0: FAILED}})
    notes = collect([tmp_path]).notes
    assert len([note for note in notes if "stopped being finite at step 37" in note]) == 2


def test_a_population_that_was_killed_has_not_failed(tmp_path):
    make_workdir(tmp_path, examples=4, methods=METHODS[:1])
    add_search(tmp_path, {1e-3: {0: UNFINISHED}, 1e-2: {0: UNFINISHED}})
    notes = collect([tmp_path]).notes
    assert [note for note in notes if note.startswith("Not finished and not shown")]
    assert not [note for note in notes if "stopped being finite" in note]


def test_without_a_rate_that_can_be_chosen_each_has_a_row_of_its_own(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.5, 1: FAILED}, 1e-2: {0: 1.0, 1: FAILED}})
    assert chosen_rate(setting) is None
    assert [method.label for method in setting.methods] == ["PT, learning rate 0.001", "PT, learning rate 0.01"]
    assert "no learning rate is chosen" in setting.searches[0].sentence
    assert search_curve(setting) is not None


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({1e-3: {0: 1.0}, 1e-2: {0: 1.1}, 1e-1: {0: 1.2}}, "The best learning rate is the smallest tried; search"),
        ({1e-3: {0: 1.2}, 1e-2: {0: 1.1}, 1e-1: {0: 1.0}}, "The best learning rate is the largest tried; search"),
        ({1e-3: {0: 1.2}, 1e-2: {0: 1.0}, 1e-1: {0: UNFINISHED}}, "largest tried; search further. Of this search 1"),
    ],
)
def test_a_choice_at_an_end_of_the_range_asks_for_more(tmp_path, losses, said):
    assert said in searched(tmp_path, losses).searches[0].sentence


@pytest.mark.parametrize("beyond", [{0: 1.2}, {0: FAILED}])
def test_a_choice_between_two_rates_is_no_end_even_where_the_outer_one_failed(tmp_path, beyond):
    setting = searched(tmp_path, {1e-3: {0: 1.2}, 1e-2: {0: 1.0}, 1e-1: beyond})
    assert chosen_rate(setting) == 1e-2 and "search further" not in setting.searches[0].sentence


def test_rates_are_compared_over_the_seeds_that_they_share(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.1}, 1e-2: {0: 1.0, 1: 1.4, 2: 1.5}, 1e-1: {0: 1.2}})
    (search,) = setting.searches
    assert chosen_rate(setting) == 1e-2 and search.chosen.loss.mean == pytest.approx(1.3)
    assert "mean dev loss, 1.0000. The means are over seed 0, which every rate has." in search.sentence
    assert [len(method.runs) for method in setting.methods] == [3]


def test_rates_without_a_common_seed_are_compared_over_their_own(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.1}, 1e-2: {1: 1.0}})
    assert chosen_rate(setting) == 1e-2 and "The rates share no seed" in setting.searches[0].sentence


def test_runs_that_are_still_to_be_done_make_the_choice_provisional(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.1}, 1e-2: {0: 1.0, 1: UNFINISHED}, 1e-1: {0: UNFINISHED, 1: UNFINISHED}})
    (search,) = setting.searches
    assert "of the 2 learning rates tried" in search.sentence
    assert search.sentence.endswith("Of this search 3 runs are not finished: the choice may change.")
    assert [row[-1] for row in search_table(setting, search).rows] == [
        "",
        "chosen; not finished: seed 1",
        "not finished: seeds 0, 1",
    ]


def test_a_prompt_that_training_did_not_improve_is_called_so(tmp_path):
    searched(tmp_path, {1e-3: {0: 1.0}, 1e-2: {0: 1.0}})
    for path in tmp_path.glob("runs/*/result.json"):
        result = read_json(path)
        write_json(path, {**result, "training": {**result["training"], "best_step": 0}})
    assert "training did not lower the dev loss" in collect([tmp_path]).settings[0].searches[0].sentence


def test_scores_of_the_dev_split_are_said_to_flatter_the_choice(tmp_path):
    setting = searched(tmp_path, {1e-3: {0: 1.1}, 1e-2: {0: 1.0}})
    assert "flatter" not in setting_tables.as_text(setting)
    for path in tmp_path.glob("runs/*/result.json"):
        write_json(path, {**read_json(path), "split": "dev"})
    (setting,) = collect([tmp_path]).settings
    assert "flatter" in setting_tables.as_text(setting) and "flatter" in as_files([setting])["md"]
    assert "flatter" in render([tmp_path]).read_text()


def test_a_search_may_be_spread_over_working_directories(tmp_path):
    for name, losses in (("a", {1e-3: {0: 1.1}}), ("b", {1e-2: {0: 1.0}})):
        add_search(make_workdir(tmp_path / name, examples=4, methods=[]), losses, examples=4)
    (setting,) = collect([tmp_path / "a", tmp_path / "b"]).settings
    assert chosen_rate(setting) == 1e-2


def test_each_method_is_searched_for_itself(tmp_path):
    searched(tmp_path, {1e-3: {0: 1.0}, 1e-2: {0: 1.1}})
    add_search(tmp_path, {1e-3: {0: 0.9}, 1e-2: {0: 0.8}}, demonstrations=1, examples=4)
    (setting,) = collect([tmp_path]).settings
    assert [(search.label, search.chosen.rate) for search in setting.searches] == [("PT", 1e-3), ("IPT", 1e-2)]


def test_rates_of_runs_that_differ_in_more_than_the_rate_are_no_search(tmp_path):
    searched(tmp_path, {1e-3: {0: 1.0}, 1e-2: {0: 1.1}})
    folder = run_folders(tmp_path)[0]
    config = read_json(folder.run_json)
    write_json(folder.run_json, {**config, "training": {**config["training"], "batch_size": 4}})
    (setting,) = collect([tmp_path]).settings
    assert setting.searches == () and len(setting.methods) == 2
    assert all("batch_size" in method.label and "learning_rate" in method.label for method in setting.methods)


def test_seeds_alone_are_no_search_and_leave_no_trace_in_the_report(tmp_path):
    page = render([make_workdir(tmp_path, examples=3)])
    assert collect([tmp_path]).settings[0].searches == ()
    assert not list(page.parent.glob("learning_rate*")) and "Learning-rate search" not in page.read_text()


def test_the_csv_of_a_search_has_unrounded_losses_and_the_choice(setting):
    rows = list(csv.DictReader(io.StringIO(as_files([setting])["csv"])))
    assert [row["chosen"] for row in rows] == ["False", "False", "True", "False", "False"]
    assert float(rows[1]["dev_loss"]) == pytest.approx(1.33) and rows[-1]["dev_loss_deviation"] == ""
    assert (rows[-1]["seeds"], rows[-1]["failed_seeds"], rows[0]["best_steps"]) == ("0", "1", "124 99")


def test_the_curve_has_a_point_per_run_the_rates_on_a_logarithmic_axis_and_a_cross_for_a_failure(setting):
    figure = search_curve(setting, prefix="setting1-")
    root = ElementTree.fromstring(figure.inline)
    texts = [each.text for each in root.iter("text")]
    assert texts[:5] == ["0.001", "0.003", "0.01", "0.03", "0.1"] and "Learning rate" in texts
    places = [float(each.get("x")) for each in root.iter("use") if each.get("x")]
    ticks = sorted({place for place in places if places.count(place) > 2})[-5:]  # left of them is the other axis
    assert ticks[2] - ticks[0] == pytest.approx(ticks[4] - ticks[2], abs=0.01)
    # A mark of the axis at each, with two points, two and a ring, or one and a cross.
    assert [places.count(tick) for tick in ticks] == [3, 3, 4, 3, 3]
    assert "A cross" in figure.caption and figure.png.startswith(b"\x89PNG")


def test_a_long_search_names_every_other_rate_on_the_axis(tmp_path):
    setting = searched(tmp_path, {1e-4 * 2**n: {0: 1.0 + n} for n in range(10)})
    root = ElementTree.fromstring(search_curve(setting).inline)
    texts = [each.text for each in root.iter("text")]
    assert texts[:5] == ["0.0001", "0.0004", "0.0016", "0.0064", "0.0256"] and texts[5] == "Learning rate"


def test_the_page_shows_the_search_and_counts_all_runs_but_explores_the_chosen_ones(workdir, tmp_path):
    path = render([workdir], tmp_path / "report")
    assert sorted(file.name for file in path.parent.glob("learning_rate*")) == [
        f"learning_rate.{ending}" for ending in ("csv", "md", "png", "svg", "tex", "txt")
    ]
    text = path.read_text()
    assert "<span>chosen</span></td>" in text and "failed: seed 1 at step 37" in text
    assert "11 runs of 3 methods, 7 of them with learning rates that were not chosen" in text
    assert text.count("PT, learning rate 0.003</th>") == 2 * 2  # cost and conditions of both seeds
    (setting,) = collect([workdir]).settings
    explored = [(method["label"], len(method["runs"])) for method in explorer_columns(setting)["methods"]]
    assert explored == [("ICL, random one-shot", 1), ("ICL, retrieved one-shot", 1), ("PT", 2)]


def test_the_terminal_names_the_chosen_rate(workdir):
    assert "0.01 is chosen by the lowest mean dev loss" in terminal_table(workdir)


def test_a_damaged_record_of_a_population_is_a_note(tmp_path):
    searched(tmp_path, {1e-3: {0: 1.0}, 1e-2: {0: FAILED}})
    (record,) = tmp_path.glob("populations/*/population.json")
    record.write_text("{torn")
    collection = collect([tmp_path])
    assert any("population.json: not a JSON object" in note for note in collection.notes)
    assert [search.sentence for search in collection.settings[0].searches][0].endswith("the choice may change.")


def test_markup_in_a_runs_settings_is_shown_as_text(tmp_path):
    searched(tmp_path, {1e-3: {0: 1.0}, 1e-2: {0: 1.1}})
    for folder in run_folders(tmp_path):
        write_json(folder.result, {**read_json(folder.result), "method": "<b>PT</b>"})
    text = render([tmp_path]).read_text()
    assert "<b>" not in text and "Learning rates of &lt;b&gt;PT&lt;/b&gt;" in text
