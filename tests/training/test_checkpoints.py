"""Checkpoints: the newest that can be read comes back, and one alone is never in the way of others."""

import logging
import os
import shutil
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from ipt_jax.adapters.files import load_prompt
from ipt_jax.errors import InputError
from ipt_jax.training import checkpoints
from ipt_jax.training.checkpoints import Checkpoints

STATE = {
    "step": jnp.int32(3),
    "params": {"table": jnp.arange(6.0).reshape(1, 2, 3)},
    "best_prompt": jnp.ones((1, 2, 3)),
}


def saved(folder, steps):
    kept = Checkpoints(folder)
    for step in steps:
        kept.save(step, {**STATE, "step": jnp.int32(step)})
    kept.close()


def restored(folder):
    kept = Checkpoints(folder)
    state = kept.restore(STATE)
    kept.close()
    return state


def test_the_newest_state_comes_back_and_old_ones_go(tmp_path):
    saved(tmp_path, [1, 2, 3])
    assert int(restored(tmp_path)["step"]) == 3
    assert (restored(tmp_path)["params"]["table"] == STATE["params"]["table"]).all()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["2", "3"]


def test_an_empty_folder_has_no_state(tmp_path):
    assert restored(tmp_path) is None


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, caplog):
    saved(tmp_path, [1, 2])
    for path in (tmp_path / "2").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:5])
    with caplog.at_level(logging.WARNING):
        assert int(restored(tmp_path)["step"]) == 1
    assert "checkpoint 2" in caplog.text and "cannot be read" in caplog.text
    saved(tmp_path, [2])  # training comes by that step again
    assert int(restored(tmp_path)["step"]) == 2


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("damage", ["cut in half", "a byte changed"])
def test_whichever_file_is_damaged_no_wrong_state_comes_back(tmp_path, caplog, damage):
    saved(tmp_path / "good", [1, 2])
    fell_back = 0
    for number, path in enumerate(files_of(tmp_path / "good" / "2")):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "good", copy)
        target, content = copy / path.relative_to(tmp_path / "good"), bytearray(path.read_bytes())
        middle = len(content) // 2
        if damage == "a byte changed":
            content[middle] ^= 0xFF
        target.write_bytes(content[:middle] if damage == "cut in half" else content)
        with caplog.at_level(logging.WARNING):
            state = restored(copy)
        assert int(state["step"]) in (1, 2)
        assert (state["params"]["table"] == STATE["params"]["table"]).all() and (state["best_prompt"] == 1).all()
        fell_back += int(state["step"]) == 1
        assert (f"checkpoint 2 of {copy}" in caplog.text) == (int(state["step"]) == 1)
    assert fell_back >= 2  # files that only describe may be damaged without harm


def test_a_state_other_than_the_one_that_was_written_is_not_taken(tmp_path, monkeypatch, caplog):
    saved(tmp_path, [1])
    monkeypatch.setattr(checkpoints, "digest_of", lambda flat: np.zeros(32, np.uint8))
    saved(tmp_path, [2])  # written with a digest that its content does not have
    monkeypatch.undo()
    assert int(restored(tmp_path)["step"]) == 1
    assert "not what was written" in caplog.text


def test_whenever_a_kill_comes_while_a_checkpoint_is_written_the_one_before_is_there(tmp_path):
    """A kill leaves the folder as it is at that moment, so a copy at every file event of a save is looked at."""
    folder, copies, looking = tmp_path / "run", [], []

    def on_event(event, args):
        touches = any(isinstance(arg, str | os.PathLike) and str(folder) in os.fspath(arg) for arg in args[:2])
        writes = event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "open")
        if looking and looking[0] and touches and writes:
            looking[0] = False  # the copying itself is no event
            copies.append(tmp_path / f"copy{len(copies)}")
            shutil.copytree(folder, copies[-1], ignore_dangling_symlinks=True)
            looking[0] = True

    saved(folder, [1, 2])
    sys.addaudithook(on_event)
    looking.append(True)
    saved(folder, [3])
    looking[0] = False
    steps = [int(restored(copy)["step"]) for copy in copies]
    assert len(steps) >= 5 and steps == sorted(steps) and set(steps) == {2, 3}


def test_a_checkpoint_that_was_being_written_is_none(tmp_path):
    saved(tmp_path, [1])
    shutil.copytree(tmp_path / "1", tmp_path / "2.orbax-checkpoint-tmp")
    assert int(restored(tmp_path)["step"]) == 1


@pytest.mark.parametrize("lost", ["all that is in it", "its arrays", "every byte"])
def test_a_newest_checkpoint_that_lost_its_files_keeps_nobody_from_reading_or_saving_others(tmp_path, lost):
    def state(step):
        return {"table": jnp.full((2, 3), float(step)), "step": jnp.array(step)}

    first = Checkpoints(tmp_path)
    first.save(4, state(4))
    first.save(6, state(6))
    first.close()
    for part in list((tmp_path / "6").rglob("*")):
        if part.is_file() and (lost != "its arrays" or "default" in part.parts):
            part.write_bytes(b"") if lost == "every byte" else part.unlink()

    again = Checkpoints(tmp_path)
    assert int(again.restore(state(0))["step"]) == 4
    again.save(8, state(8))
    assert int(again.restore(state(0))["step"]) == 8
    again.close()
    assert (tmp_path / "damaged-6").is_dir()


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_checkpoint_whose_description_is_none_keeps_no_other_from_being_used(tmp_path, caplog, damaged):
    """Orbax reads the description of every checkpoint when it opens their folder."""
    saved(tmp_path, [1, 2])
    whole = 3 - damaged
    (tmp_path / str(damaged) / "_CHECKPOINT_METADATA").write_text('{"metrics": 3}')
    assert (load_prompt(tmp_path) == 1).all()
    assert int(restored(tmp_path)["step"]) == whole
    assert f"checkpoint {damaged} of {tmp_path} cannot be read" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([str(whole), f"damaged-{damaged}"])
    saved(tmp_path, [3])


def test_a_folder_that_cannot_have_checkpoints_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/checkpoints: cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints")
