"""launch/tpu_vm.sh, against a program that stands for gcloud."""

import shlex
import subprocess
import time

from launchers import EXPERIMENT, ON_TPU, QUICK, SLICE


def test_a_slice_is_made_used_and_deleted(stand_ins):
    stand_ins.tell("two_workers")
    awkward = '--config.layout.template=it\'s "$HOME" `x`; a|b\n\\n'
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--spot", "--poll=0", "--", *EXPERIMENT, awkward)
    assert stand_ins.steps() == [
        *["create", "scp", "tar", "install", "start"],
        *["watch", "status", "watch", "tar", "scp", "delete"],
    ]
    calls = stand_ins.calls("gcloud")
    create = next(call for call in calls if "create" in call)
    assert create == [
        *["compute", "tpus", "queued-resources", "create", "tpu", "--node-id=tpu", "--zone=us-west4-a"],
        *["--accelerator-type=v5litepod-8", "--runtime-version=v2-alpha-tpuv5-lite", "--spot"],
    ]
    assert all("--zone=us-west4-a" in call for call in calls)
    assert calls[-1][3:] == ["delete", "tpu", "--zone=us-west4-a", "--force", "--quiet"]
    program = ["-m", "ipt_jax.main", *EXPERIMENT, awkward, ON_TPU, "--distributed"]
    assert stand_ins.calls("python") == [program] * 2  # the same on both workers, word for word
    assert done.stdout.count("found 0 rows") == 2
    assert (stand_ins.checkout / "runs" / "dart" / "results.jsonl").read_text() == "{}\n"
    assert "costs money" not in done.stderr


def test_a_dry_run_prints_every_command_for_a_slice_and_carries_out_none(stand_ins):
    (stand_ins.checkout / "my data").mkdir()
    flags = ["--dry-run", *SLICE, "--project=p", "--upload=my data", "--setup=sudo mount disk", "--bucket=gs://b/dart/"]
    lines = stand_ins.run("launch/tpu_vm.sh", "all", *flags, "--", *EXPERIMENT).stdout.splitlines()
    assert not (stand_ins.folder / "calls.jsonl").exists()
    assert not (stand_ins.folder / "checkout.tar.gz").exists()
    commands = [shlex.split(line) for line in lines]
    verbs = [command[4] if command[:3] == ["gcloud", "compute", "tpus"] else command[0] for command in commands]
    assert verbs == [
        *["describe", "create", "describe", "git", "scp", "ssh", "ssh", "ssh"],  # the last is --setup
        *["ssh", "tar", "scp", "ssh"],  # out of the bucket, and --upload
        *["ssh", "ssh", "ssh", "ssh"],  # start, watch, status, and what was written last
        *["ssh", "scp", "tar", "ssh", "delete"],  # the results to here and into the bucket
    ]
    assert all("--project=p" in command for command in commands if command[0] == "gcloud")
    remote = [word.partition("=")[2] for command in commands for word in command if word.startswith("--command=")]
    assert "cd ipt_jax && sudo mount disk" in remote
    assert "cd ipt_jax && gcloud storage rsync --recursive runs/dart gs://b/dart" in remote
    assert any("--recursive --skip-if-dest-has-newer-mtime gs://b/dart runs/dart" in line for line in remote)
    assert any("on_host.sh start runs-dart .venv/bin/python -m ipt_jax.main --config" in line for line in remote)


def test_a_preempted_slice_is_made_again_and_the_experiment_goes_on_from_what_was_copied(stand_ins):
    stand_ins.tell("exit", "block")
    stand_ins.tell("preempt", "yes")
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--spot", *QUICK, "--", *EXPERIMENT)
    steps = stand_ins.steps()
    assert steps.index("delete") < len(steps) - 1  # once after the preemption, once in the end
    again = steps[steps.index("delete") + 1 :]
    assert again[:4] == ["create", "scp", "tar", "install"]
    assert again[4:7] == ["scp", "tar", "start"]  # the workdir before the program
    assert again[-1] == "delete" and steps.count("create") == 2
    assert "tpu was taken away; making it again" in done.stderr
    assert "found 1 rows" in done.stdout  # the second slice has the first one's results


def test_a_program_that_asks_to_be_started_again_is_started_on_the_same_slice(stand_ins):
    stand_ins.tell("two_workers")
    stand_ins.tell("exit", "134", "75")  # the end of one process can end the other in another way
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--poll=0", "--", *EXPERIMENT)
    steps = stand_ins.steps()
    assert (steps.count("create"), steps.count("install"), steps.count("start")) == (1, 1, 2)
    assert "asks to be started again" in done.stderr
    assert done.stdout.count("found 0 rows") == done.stdout.count("found 1 rows") == 2


def test_starting_again_has_an_end(stand_ins):
    stand_ins.tell("exit", "75", "75")
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--poll=0", "--restarts=1", "--", *EXPERIMENT, status=1)
    assert "started again 1 times; giving up" in done.stderr
    assert stand_ins.steps().count("start") == 2


def test_a_failing_worker_ends_the_others_and_the_script_says_how_to_delete_the_slice(stand_ins):
    stand_ins.tell("two_workers")
    stand_ins.tell("exit", "block", "3")
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, *QUICK, "--", *EXPERIMENT, status=1)
    assert stand_ins.steps()[-4:] == ["stop", "watch", "tar", "scp"]  # the results so far are copied all the same
    assert "tpu exists and costs money until you delete it" in done.stderr
    assert "gcloud compute tpus queued-resources delete tpu --zone=us-west4-a --force" in done.stderr
    assert (stand_ins.folder / "slice").exists()


def test_a_slice_is_deleted_after_a_failure_too_when_a_flag_says_so(stand_ins):
    stand_ins.tell("exit", "3")
    flags = [*SLICE, "--poll=0", "--delete-on-failure"]
    done = stand_ins.run("launch/tpu_vm.sh", "all", *flags, "--", *EXPERIMENT, status=1)
    assert not (stand_ins.folder / "slice").exists() and "costs money" not in done.stderr


def test_a_refused_request_fails_and_costs_nothing(stand_ins):
    stand_ins.tell("create", "fail")
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--poll=0", "--", *EXPERIMENT, status=1)
    assert "RESOURCE_EXHAUSTED" in done.stderr and "costs money" not in done.stderr
    assert stand_ins.steps() == ["create"]


def test_a_lost_connection_leaves_the_program_alone_and_a_flag_keeps_the_slice(stand_ins):
    stand_ins.tell("unreachable", "yes")
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, *QUICK, "--keep", "--", *EXPERIMENT)
    assert stand_ins.steps().count("start") == 1 and len(stand_ins.calls("python")) == 1
    assert (stand_ins.folder / "slice").exists() and "costs money" in done.stderr


def test_the_same_command_finds_a_slice_on_which_the_program_is_running(stand_ins):
    steps = ("create", "install", "send", "start")
    stand_ins.tell("exit", "block")
    for step in steps:
        done = stand_ins.run("launch/tpu_vm.sh", step, *SLICE, "--poll=0", "--", *EXPERIMENT)
        assert "costs money" in done.stderr
    before = len(stand_ins.steps())
    process = subprocess.Popen(
        ["bash", "launch/tpu_vm.sh", "all", *SLICE, *QUICK, "--", *EXPERIMENT],
        cwd=stand_ins.checkout,
        env=stand_ins.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while stand_ins.steps()[before:].count("watch") < 1:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == 143
    assert "costs money" in process.stderr.read()
    process.stderr.close()
    assert not {"create", "install", "start", "delete"} & set(stand_ins.steps()[before:])
    stand_ins.run("launch/tpu_vm.sh", "stop", *SLICE, "--", *EXPERIMENT)
    done = stand_ins.run("launch/tpu_vm.sh", "watch", *SLICE, *QUICK, "--", *EXPERIMENT, status=1)
    assert "the program: restart" in done.stderr
    stand_ins.run("launch/tpu_vm.sh", "delete", *SLICE)
    assert not (stand_ins.folder / "slice").exists()


def test_a_workdir_that_cannot_be_copied_is_refused(stand_ins):
    flags = ["--config=c.py", "--workdir=/mnt/disk/dart"]
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--dry-run", "--", *flags, status=2)
    assert "--workdir=/mnt/disk/dart is outside of the checkout" in done.stderr and "--mounted" in done.stderr
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--dry-run", "--mounted", "--", *EXPERIMENT, status=2)
    assert "--mounted needs the workdir's absolute path" in done.stderr
    done = stand_ins.run("launch/tpu_vm.sh", "all", *SLICE, "--dry-run", "--mounted", "--", *flags)
    assert "results" not in done.stdout  # nothing is copied back from a disk that is not the slice's own
