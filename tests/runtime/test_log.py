"""What commands say beside the package's own messages."""

import json
import logging
import sys
from types import SimpleNamespace

import pytest
from absl import logging as absl_logging
from commands import _loggers_as_before

from ipt_jax import cli
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


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(log, "_EVERY_SECONDS", 0.0)


def test_in_a_file_progress_is_a_message_with_what_is_left_and_no_bar(at_once, capsys):
    with log.Progress("train", total=10, initial=2, unit="step") as progress:
        progress.update(4)
        progress.say("loss 1.0")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "train: 6 of 10 steps, 0 s left"


def test_work_that_another_process_tells_of_says_nothing(at_once, capsys):
    with log.Progress("train", total=10, unit="step", disable=True) as progress:
        progress.update()
    assert capsys.readouterr().err == ""


def test_as_json_every_message_is_an_object_and_with_quiet_there_are_warnings_alone(at_once, capsys, monkeypatch):
    monkeypatch.setattr(cli.SAID, "format", "json")
    log.show_progress()
    with log.Progress("train", total=None, unit="step") as progress:
        progress.update(1200)
    told = json.loads(capsys.readouterr().err)
    assert (told["level"], told["logger"], told["message"]) == ("info", "ipt_jax.runtime.log", "train: 1,200 steps")
    monkeypatch.setattr(cli.SAID, "quiet", True)
    log.show_progress()
    logging.getLogger("ipt_jax.x").info("not this")
    logging.getLogger("ipt_jax.x").warning("this")
    assert json.loads(capsys.readouterr().err)["message"] == "this"
