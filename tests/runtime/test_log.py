"""What commands say beside the package's own messages."""

import sys
from types import SimpleNamespace

import pytest
from absl import logging as absl_logging
from commands import _loggers_as_before

from ipt_jax.runtime import log


@pytest.fixture(autouse=True)
def shown():
    with _loggers_as_before():
        log.show_progress()
        yield


def test_failures_of_orbax_are_told_by_us_alone_and_other_warnings_stay(caplog):
    logger = absl_logging.get_absl_logger()
    for path in ("/x/site-packages/orbax/checkpoint/_src/futures/future.py", "/x/ipt_jax/workdir/json_files.py"):
        logger.handle(logger.makeRecord("absl", absl_logging.ERROR + 40, path, 1, f"of {path}", (), None))
    assert [record.pathname for record in caplog.records] == ["/x/ipt_jax/workdir/json_files.py"]


def test_what_python_cannot_raise_is_told_but_for_tensorstores_closed_loop(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "__unraisablehook__", lambda found: told.append(str(found.exc_value)))
    for text in ("Event loop is closed", "something else"):
        sys.unraisablehook(SimpleNamespace(exc_value=RuntimeError(text)))
    assert told == ["something else"]
