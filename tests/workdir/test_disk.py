"""A full disk while any file is written: one line, what was there is as it was, and nothing is left lying about."""

import contextlib
import resource

import jax.numpy as jnp
import numpy as np
import pytest
from commands import call
from report_samples import make_workdir

from ipt_jax import report
from ipt_jax.adapters.files import load_prompt, save_prompt
from ipt_jax.errors import InputError
from ipt_jax.retrieval.cache import kept
from ipt_jax.tasks import get_task
from ipt_jax.tasks.base import load_split
from ipt_jax.training.checkpoints import Checkpoints
from ipt_jax.workdir.json_files import append_rows, create_json, write_json, write_rows

PROMPT = np.arange(4096, dtype=np.float32).reshape(64, 64)


@contextlib.contextmanager
def full_disk(room):
    """No file of this process can grow past so many bytes: what it is refused with is handled as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WRITERS = {
    "JSON": lambda folder: write_json(folder / "x.json", ["x" * 9000]),
    "a new JSON": lambda folder: create_json(folder / "new.json", ["x" * 9000]),
    "JSON Lines": lambda folder: write_rows(folder / "x.jsonl", [{"x": "x" * 9000}]),
    "rows": lambda folder: append_rows(folder / "x.jsonl", [{"x": "x" * 9000}]),
    "a prompt": lambda folder: save_prompt(folder / "p.safetensors", PROMPT, {}),
    "vectors": lambda folder: kept(folder / "v.npz", lambda: {"vectors": PROMPT}),
    "a table": lambda folder: load_split(get_task("sample"), "dev", cache_dir=folder / "tables"),
}


@pytest.mark.parametrize("room", [0, 2000])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_does_not_fit_is_told_and_changes_nothing(tmp_path, writer, room):
    write_json(tmp_path / "x.json", [])
    append_rows(tmp_path / "x.jsonl", [{"x": 1}])
    save_prompt(tmp_path / "p.safetensors", PROMPT[:2, :2], {})
    before = files(tmp_path)
    with full_disk(room), pytest.raises(InputError, match=r"(could not write|cannot be written).*(F|f)ree some space"):
        WRITERS[writer](tmp_path)
    assert files(tmp_path) == before
    WRITERS[writer](tmp_path)
    assert files(tmp_path) != before


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path):
    state = {"step": jnp.int32(1), "best_prompt": jnp.asarray(PROMPT)[None]}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state)
    with full_disk(2000), pytest.raises(InputError, match="checkpoint of step 2 could not be written"):
        checkpoints.save(2, state)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert int(again.restore(state)["step"]) == 1
    again.save(2, state)
    again.close()
    assert (load_prompt(tmp_path) == PROMPT).all()


def test_a_report_that_does_not_fit_leaves_the_one_before(tmp_path):
    make_workdir(tmp_path, examples=3, methods=((0, 0, None, 0, 0.1),))
    page = report.render([tmp_path])
    before = page.read_bytes()
    with full_disk(20_000), pytest.raises(InputError, match="could not write"):
        report.render([tmp_path])
    assert page.read_bytes() == before


@pytest.mark.parametrize("format", ["npy", "safetensors", "peft"])
def test_an_exported_prompt_that_does_not_fit_is_one_line(tmp_path, format):
    np.save(tmp_path / "p.npy", PROMPT)
    arguments = [f"--prompt={tmp_path / 'p.npy'}", f"--format={format}", f"--output={tmp_path / 'out'}"]
    with full_disk(2000):
        ended = call("ipt_jax.export", *arguments)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "p.npy"]


@pytest.mark.parametrize("place", ["work/locks", "work"])
def test_a_file_where_a_folder_should_be_is_one_line(tmp_path, place):
    from ipt_jax.workdir.disk import make_folder
    from ipt_jax.workdir.locks import try_lock

    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        make_folder(path / "x")
    with pytest.raises(InputError, match="cannot be written"):
        try_lock([path / "x"])
