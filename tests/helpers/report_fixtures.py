"""Invented runs and their reports that many tests look at: made once for all of them, and read only."""

import pytest
from report_samples import make_workdir
from study_samples import make_study

from ipt_jax.report import render
from ipt_jax.report.reading.collect import collect


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory):
    """The eight runs of the quickstart, on a hundred examples."""
    return make_workdir(tmp_path_factory.mktemp("quickstart") / "work")


@pytest.fixture(scope="session")
def quickstart_report(quickstart, tmp_path_factory):
    return render([quickstart], tmp_path_factory.mktemp("quickstart_report"))


@pytest.fixture(scope="session")
def setting(quickstart):
    """What the quickstart's runs share, as a report reads it."""
    (found,) = collect([quickstart]).settings
    return found


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Three of the paper's tasks, with prompt lengths and prompts on other tasks."""
    return make_study(tmp_path_factory.mktemp("study") / "work")


@pytest.fixture(scope="session")
def settings(study):
    """The study's tasks, as a report reads them."""
    return collect([study]).settings


@pytest.fixture(scope="session")
def study_report(study, tmp_path_factory):
    return render([study], tmp_path_factory.mktemp("study_report"))
