"""Trackers have each step once, also of a training that went on; a member is a run; a failure ends no training."""

import struct
import sys
from types import ModuleType, SimpleNamespace

import pytest

from ipt_jax.errors import InputError
from ipt_jax.training import trackers
from ipt_jax.training.journal import JsonLinesJournal
from ipt_jax.training.trackers import Curve, TrackedJournal

RUNS = ("aaaa", "bbbb")
WHOLE = [(0, "dev_loss"), (1, "loss"), (2, "loss"), (2, "dev_loss"), (3, "loss"), (4, "loss"), (4, "dev_loss")]


def journal_in(folder, makers):
    curves = [Curve("project", run, folder / run, {"seed": k}) for k, run in enumerate(RUNS)]
    for curve in curves:
        curve.folder.mkdir(parents=True, exist_ok=True)
    truth = JsonLinesJournal("title", [curve.folder / "metrics.jsonl" for curve in curves], RUNS, warn_after=100)
    return TrackedJournal(truth, curves, makers)


def value(member, step, name):
    return float(member + step + 0.5 * (name == "loss"))


def tell(journal, told):
    for step, name in told:
        for member in range(len(RUNS)):
            journal.log(member, [{"step": step, name: value(member, step, name)}])


def left_and_resumed(folder, maker):
    """Told up to step 3, asked to leave, resumed from a checkpoint of step 2."""
    first = journal_in(folder, [maker])
    first.rewind(-1)
    tell(first, WHOLE[:5])
    first.finish()
    again = journal_in(folder, [maker])
    again.rewind(2)
    tell(again, WHOLE[4:])
    again.finish()


def events(folder):
    """(step, tag, value) of the event files of a folder, in their order: TFRecords are length, crc, data, crc."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.glob("events*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            yield from ((event.step, each.tag, each.simple_value) for each in event.summary.value)
            at += 16 + length


def test_event_files_of_tensorboard_have_each_step_of_a_resumed_run_once(tmp_path):
    pytest.importorskip("tensorboardX")
    left_and_resumed(tmp_path, trackers.TensorBoard)
    for member, run in enumerate(RUNS):
        expected = [(step, name, value(member, step, name)) for step, name in WHOLE]
        assert list(events(tmp_path / run / "tensorboard")) == expected


class StandIn(ModuleType):
    """A library with `init` whose runs outlive the process that tells them, as on a server."""

    def __init__(self):
        super().__init__("wandb")
        self.told, self.finished = {}, []

    def init(self, *, id, **_):
        told = self.told.setdefault(id, [])

        def log(row, step):
            assert not told or step > told[-1][0], "wandb drops what falls behind its step"
            told.append((step, row))

        return SimpleNamespace(
            offline=False, step=told[-1][0] + 1 if told else 0, log=log, finish=lambda: self.finished.append(id)
        )


def test_a_tracker_that_is_only_added_to_has_whole_steps_once(tmp_path, monkeypatch):
    library = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", library)
    left_and_resumed(tmp_path, trackers.WeightsAndBiases)
    assert library.finished == [*RUNS, *RUNS]
    for member, run in enumerate(RUNS):
        expected = {}
        for step, name in WHOLE:
            expected.setdefault(step, {})[name] = value(member, step, name)
        assert library.told[run] == list(expected.items())


def test_wandb_offline_has_one_folder_a_run_after_it_went_on(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    left_and_resumed(tmp_path, trackers.WeightsAndBiases)
    for run in RUNS:
        (offline,) = (tmp_path / run / "wandb").glob("offline-run-*")
        assert (offline / f"run-{run}.wandb").stat().st_size > 0


def test_trackio_has_each_step_of_a_resumed_run_once(tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    from trackio import utils
    from trackio.sqlite_storage import SQLiteStorage

    monkeypatch.setattr(utils, "TRACKIO_DIR", tmp_path / "trackio", raising=True)
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "trackio")
    left_and_resumed(tmp_path, trackers.Trackio)
    for member, run in enumerate(RUNS):
        rows = [row for row in SQLiteStorage.get_logs("project", run) if "loss" in row]
        assert [(row["step"], row["loss"]) for row in rows] == [
            (step, value(member, step, "loss")) for step in (1, 2, 3, 4)
        ]


class Failing:
    def __init__(self, curve):
        self.curve = curve

    def rewind(self, rows):
        if self.curve.run == "aaaa":
            raise ConnectionError("no server")

    def log(self, row):
        raise OSError("disk full")

    def finish(self):
        raise AssertionError("it is told nothing more")


def test_a_tracker_that_fails_is_left_out_and_the_truth_goes_on(tmp_path, caplog):
    journal = journal_in(tmp_path, trackers.named(f"{__name__}:Failing"))
    journal.rewind(-1)
    tell(journal, WHOLE)
    journal.finish()
    assert len((tmp_path / "bbbb" / "metrics.jsonl").read_text().splitlines()) == len(WHOLE)
    assert [record.getMessage() for record in caplog.records] == [
        "run aaaa: tracker Failing failed and is told nothing more: no server",
        "run bbbb: tracker Failing failed and is told nothing more: disk full",
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("tensorbord", "'tensorbord' is unknown; did you mean 'tensorboard'"),
        ("nowhere.at.all:Tracker", "'nowhere.at.all:Tracker' cannot be imported"),
        ("json:Tracker", "'json:Tracker' cannot be imported"),
    ],
)
def test_a_tracker_that_is_nowhere_is_an_error_before_anything_is_trained(names, message):
    with pytest.raises(InputError, match=message):
        trackers.named(names)


def test_a_library_that_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs wandb, which is not installed: pip install 'ipt_jax\[wandb\]'"):
        trackers.named("json:loads, wandb")


def test_an_installed_package_gives_a_tracker_by_its_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "own-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[ipt_jax.journals]\nown = {__name__}:Failing\n")
    monkeypatch.syspath_prepend(tmp_path)
    (made,) = trackers.named("own")
    assert made.__name__ == "Failing"
