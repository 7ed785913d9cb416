"""What the launch scripts have in common, and the one that keeps a process on a host."""

import re
import resource
import shutil
import subprocess
import sys

import pytest
from launchers import EXPERIMENT, ROOT, SLICE

# All launchers

LAUNCHERS = sorted(path.name for path in (ROOT / "launch").iterdir() if path.suffix in (".sh", ".py"))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    scripts = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "launch").glob("*.sh"))]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", LAUNCHERS)
def test_help_says_what_a_launcher_does_and_all_it_takes_at_once_and_installs_nothing(tmp_path, name):
    shutil.copytree(ROOT / "launch", tmp_path / "launch", ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(tmp_path.rglob("*"))
    # -S: a Python that has no package. Elsewhere than in the checkout, where .venv would be made too.
    interpreter = ["bash"] if name.endswith(".sh") else [sys.executable, "-S"]
    command, took = [*interpreter, str(tmp_path / "launch" / name), "--help"], time_of_children()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert time_of_children() - took < 1  # seconds of processors; a busy machine is no failure
    assert sorted(tmp_path.rglob("*")) == before
    if done.stdout.startswith("Sourced by "):
        return  # that answers too, but is called by others alone
    source = (ROOT / "launch" / name).read_text()
    flags = re.findall(r"^ +(--[a-z-]+)(?:=\S*)?\)", source, re.MULTILINE)
    environment = set(re.findall(r"\$\{([A-Z]+):[-?]", source)) - set(re.findall(r"\b([A-Z]+)=(?!\"\$\{\1:)", source))
    environment -= {"TMPDIR"}  # every program heeds it
    assert re.search(rf"launch/{name}\s", done.stdout)
    assert [taken for taken in (*flags, *environment) if taken not in done.stdout] == []


def time_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_help_behind_two_dashes_or_in_a_command_is_not_the_launchers(stand_ins):
    done = stand_ins.run("launch/slurm.sh", "--", "--help", status=2)
    assert done.stderr.startswith("error: --config and --workdir are needed") and not done.stdout
    stand_ins.run("launch/on_host.sh", "start", "job", "echo", "--help")
    assert stand_ins.run("launch/on_host.sh", "watch", "job").stdout == "--help\n"


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
        (["--config=dart"], "--config and --workdir are needed"),
        (["--config", "dart"], "write --config=VALUE, with the equals sign"),
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
