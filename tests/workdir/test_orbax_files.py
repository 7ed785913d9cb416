"""Orbax folders of one process."""

import numpy as np

from ipt_jax.workdir.orbax_files import (
    DIGEST,
    digest_of,
    first_line,
    manager_of,
    opens,
    restore,
    restore_any,
    save,
    steps_of,
)

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(4, np.int32)}


def saved(folder, *steps):
    folder.mkdir(exist_ok=True)
    manager = manager_of(folder)
    for step in steps:
        save(manager, step, {**ARRAYS, DIGEST: digest_of(ARRAYS)})
    manager.wait_until_finished()
    manager.close()
    return folder


def test_arrays_come_back_to_the_bit_with_or_without_their_shapes(tmp_path):
    folder = saved(tmp_path / "checkpoints", 3)
    manager = manager_of(folder)
    shapes = {**ARRAYS, DIGEST: digest_of(ARRAYS)}
    for found in (restore(manager, 3, shapes), restore_any(folder / "3")):
        assert {name: np.asarray(found[name]).tolist() for name in ARRAYS} == {n: a.tolist() for n, a in ARRAYS.items()}
        assert (np.asarray(found[DIGEST]) == digest_of({name: found[name] for name in ARRAYS})).all()
    manager.close()


def test_steps_are_told_the_newest_first_and_other_files_are_none(tmp_path):
    folder = saved(tmp_path / "checkpoints", 2, 10)
    (folder / "notes.txt").touch()
    (folder / "³").mkdir()
    assert steps_of(folder) == [10, 2]


def test_a_digest_changes_with_any_value_and_name():
    changed = {**ARRAYS, "b": np.array(5, np.int32)}
    renamed = {"a": ARRAYS["a"], "c": ARRAYS["b"]}
    digests = {digest_of(arrays).tobytes() for arrays in (ARRAYS, changed, renamed)}
    assert len(digests) == 3
    assert digest_of(dict(reversed(ARRAYS.items()))).tobytes() == digest_of(ARRAYS).tobytes()


def test_a_whole_checkpoint_opens(tmp_path):
    assert opens(saved(tmp_path / "checkpoints", 1) / "1")


def test_an_error_is_told_by_its_first_line_or_its_kind():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
