"""Ray does an experiment's jobs, also when a worker is killed in the middle of one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import write_hf_folder

from ipt_jax.storage import read_rows

pytest.importorskip("ray", reason="Ray is not installed: pip install ipt_jax[sweeps]")

ROOT = Path(__file__).parents[1]


def sweep(folder, *flags):
    lm = write_hf_folder(folder / "lm", "gpt2", n_positions=1024)
    command = [
        sys.executable,
        "launch/ray_sweep.py",
        "--config=tests/small_config.py:pt,ipt,zero_shot",
        f"--workdir={folder / 'w'}",
        f"--config.model.source={lm}",
        f"--config.execution.cache_dir={folder / 'cache'}",
        "--config.execution.checkpoint_every=1",
        *flags,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def worker_in_training(workdir):
    """The worker whose job has begun to train, or None."""
    if not any("learning_rate" in path.read_text() for path in workdir.glob("runs/*/metrics.jsonl")):
        return None
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_bytes().split(b"\0")
            if b"ipt_jax.main" in said and f"--workdir={workdir}".encode() in said and b"--list" not in said:
                return parent_of(path.parent.name)
        except (OSError, ValueError):  # it has just ended
            continue
    return None


@pytest.mark.slow
def test_all_jobs_are_finished_although_a_worker_is_killed_in_the_middle_of_one(tmp_path):
    process = sweep(tmp_path)
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        worker = worker_in_training(tmp_path / "w")
        if worker:
            os.kill(worker, signal.SIGKILL)
            break
        time.sleep(0.1)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told[-3000:]
    assert "its worker died" in told and told.count(": finished") == 3
    rows = read_rows(tmp_path / "w" / "results.jsonl")
    assert len(rows) == len({row["run"] for row in rows}) == 5
    for row in rows:
        predictions = read_rows(tmp_path / "w" / "runs" / row["run"] / "predictions.jsonl")
        assert len(predictions) == len({prediction["id"] for prediction in predictions}) == 10
        if row["training"]:
            metrics = read_rows(tmp_path / "w" / "runs" / row["run"] / "metrics.jsonl")
            assert [r["step"] for r in metrics if "loss" in r] == list(range(1, 13))
    assert (tmp_path / "w" / "report" / "index.html").exists()


@pytest.mark.slow
def test_a_wrong_input_ends_the_sweep_with_its_message(tmp_path):
    process = sweep(tmp_path, "--config.layout.promt_tokens=3")
    _, told = process.communicate(timeout=200)
    assert process.returncode == 1 and "promt_tokens" in told
