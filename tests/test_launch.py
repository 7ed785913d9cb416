"""What the launch scripts have in common, and the one that keeps a process on a host."""

import shutil
import subprocess

import pytest
from launchers import EXPERIMENT, ROOT, SLICE

# All launchers


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    scripts = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "launch").glob("*.sh"))]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", ["tpu_vm.sh", "slurm.sh", "gpu_hosts.sh"])
def test_help_is_the_head_of_the_script(stand_ins, script):
    text = stand_ins.run(f"launch/{script}", "--help").stdout
    assert text.splitlines()[0].startswith("Carries out an experiment on ")
    assert f"bash launch/{script} " in text and "--dry-run " in text


@pytest.mark.parametrize("script", [["tpu_vm.sh", "all"], ["slurm.sh"], ["gpu_hosts.sh"]])
@pytest.mark.parametrize(
    "flags, message",
    [
        (["--nodse=2"], "--nodse=2 is no flag of launch/{}, which has --"),
        (["--restarts"], "--restarts needs a value: --restarts=N"),
        (["--workdir=runs/x"], "--workdir=runs/x is for ipt_jax.main; write it after --"),
        (["gpu1"], "gpu1 is no flag of launch/{}"),
    ],
)
def test_an_unknown_flag_is_an_error_that_says_what_to_write(stand_ins, script, flags, message):
    done = stand_ins.run(f"launch/{script[0]}", *script[1:], *flags, status=2)
    assert done.stderr.startswith("error: " + message.format(script[0]))


@pytest.mark.parametrize(
    "script", [["tpu_vm.sh", "all", *SLICE], ["slurm.sh", "--nodes=2"], ["gpu_hosts.sh", "--hosts=a,b"]]
)
@pytest.mark.parametrize(
    "flags, message",
    [
        (["--config=configs/dart.py"], "--config and --workdir are needed"),
        (["--config", "configs/dart.py"], "write --config=VALUE, with the equals sign"),
        ([*EXPERIMENT, "--process_id=0"], "leave out --process_id=0"),
    ],
)
def test_flags_of_the_program_are_checked_before_anything_is_started(stand_ins, script, flags, message):
    done = stand_ins.run(f"launch/{script[0]}", *script[1:], "--", *flags, status=2)
    assert done.stderr.startswith("error: " + message)
    assert not (stand_ins.folder / "calls.jsonl").exists()


# launch/on_host.sh


def test_a_process_on_a_host_outlives_what_started_it_and_saves_when_it_is_stopped(stand_ins):
    stand_ins.run("launch/on_host.sh", "install", "tpu")
    assert (stand_ins.checkout / "extra").read_text() == "tpu\n"
    assert stand_ins.run("launch/on_host.sh", "status", "job").stdout == "absent\n"
    stand_ins.tell("exit", "block")
    stand_ins.run("launch/on_host.sh", "start", "job", ".venv/bin/python", *EXPERIMENT)
    stand_ins.run("launch/on_host.sh", "start", "job", ".venv/bin/python", *EXPERIMENT)
    seen = ""
    while "\n" not in seen:  # the second watch goes on where the first left off
        seen += stand_ins.run("launch/on_host.sh", "watch", "job", "0").stdout
    assert seen == "found 0 rows\n"
    assert stand_ins.run("launch/on_host.sh", "status", "job").stdout == "running\n"
    assert len(stand_ins.calls("python")) == 1
    stand_ins.run("launch/on_host.sh", "stop", "job")
    assert stand_ins.run("launch/on_host.sh", "status", "job").stdout == "finished 75\n"
    assert stand_ins.run("launch/on_host.sh", "watch", "job", status=75).stdout == ""
