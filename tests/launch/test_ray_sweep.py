"""Ray does an experiment's jobs, also when a worker is killed in the middle of one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import ROOT
from tiny import write_hf_folder

from ipt_jax.workdir.json_files import read_rows

pytest.importorskip("ray", reason="Ray is not installed: pip install ipt_jax[sweeps]")


STAND_IN = """
import os, signal, sys, time
from pathlib import Path
flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in sys.argv[1:])
workdir = Path(flags["workdir"])
if "list" in flags:
    print("aa\\t1\\t0\\tpreempted once\\nbb\\t2\\t0\\ta worker lost")
    print("cc\\t1\\t0\\ta defect\\ndd\\t1\\t1\\ta wrong input")
    sys.exit()
job, tries = flags["only"], workdir / flags["only"]
with tries.open("a") as file:
    file.write(flags["config.x"] + "\\n")
first = len(tries.read_text().splitlines()) == 1
if job == "aa" and first:
    sys.exit(75)
if job == "bb" and first:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
if job == "cc":
    sys.exit("a defect of ours")
if job == "dd":
    assert (workdir / "bb").read_text().count("\\n") == 2
    print("error: no such thing", file=sys.stderr)
    sys.exit(2)
"""


def test_what_is_no_fault_of_a_job_is_repeated_a_failure_thrice_and_a_wrong_input_never(tmp_path):
    """With a stand-in for the program, beside a copy of the script."""
    for name, content in {
        "launch/ray_sweep.py": (ROOT / "launch" / "ray_sweep.py").read_text(),
        "ipt_jax/__init__.py": "",
        "ipt_jax/main.py": STAND_IN,
        "ipt_jax/report.py": "from pathlib import Path; Path('rendered').touch()",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "w").mkdir()
    command = [sys.executable, "launch/ray_sweep.py", "--config=c.py", "--workdir=w", "--config.x=3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr[-3000:]
    tries = {path.name: path.read_text().splitlines() for path in (tmp_path / "w").iterdir()}
    assert tries == {"aa": ["3"] * 2, "bb": ["3"] * 2, "cc": ["3"] * 3, "dd": ["3"]}
    assert "aa preempted once: it was asked to leave" in done.stderr
    assert "bb a worker lost: its worker died" in done.stderr
    assert done.stderr.count("a defect of ours") == 3 and done.stderr.count("error: no such thing") == 1
    assert done.stderr.splitlines()[-1] == "error: 2 of 4 jobs failed: cc, dd"
    assert (tmp_path / "rendered").exists()


def sweep(folder, *flags):
    lm = write_hf_folder(folder / "lm", "gpt2", n_positions=1024)
    command = [
        sys.executable,
        "launch/ray_sweep.py",
        "--config=tests/helpers/small_config.py:pt,ipt,zero_shot",
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
