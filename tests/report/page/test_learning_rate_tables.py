"""Learning-rate searches as tables: which rate was chosen, and what the others came to."""

import csv
import io

import pytest
from report_samples import LOSSES, METHODS, add_search, make_workdir

from ipt_jax.report.page.learning_rate_tables import as_files, search_table
from ipt_jax.report.reading.collect import collect


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    workdir = make_workdir(tmp_path_factory.mktemp("searched") / "work", examples=12, methods=METHODS[1:3])
    (found,) = collect([add_search(workdir, LOSSES, examples=12)]).settings
    return found


def test_a_row_for_each_rate_in_their_order_and_one_is_chosen(searched):
    (search, *_) = searched.searches
    table = search_table(searched, search)
    rates = [float(row[0]) for row in table.rows]
    assert rates == sorted(candidate.rate for candidate in search.candidates)
    assert sum(row[-1].startswith("chosen") for row in table.rows) == 1


def test_the_chosen_rate_has_the_lowest_dev_loss_of_those_that_did_not_fail(searched):
    for search in searched.searches:
        whole = [each for each in search.candidates if each.loss and not each.failed and not each.unfinished]
        assert search.chosen.loss.mean == min(each.loss.mean for each in whole)


def test_files_of_all_kinds_say_the_same_and_the_csv_is_not_rounded(searched):
    files = as_files([searched])
    assert set(files) == {"txt", "md", "tex", "csv"}
    rows = list(csv.DictReader(io.StringIO(files["csv"])))
    assert len(rows) == sum(len(search.candidates) for search in searched.searches)
    losses = {each.loss.mean for search in searched.searches for each in search.candidates if each.loss}
    assert losses == {float(row["dev_loss"]) for row in rows if row["dev_loss"]}


def test_without_a_search_there_is_no_file(setting):
    assert as_files([setting]) == {}
