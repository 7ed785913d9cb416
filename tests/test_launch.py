"""The launch scripts, against programs that stand for gcloud, sbatch, ssh and ipt_jax.main."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).parent / "stand_ins"
EXPERIMENT = ["--config=configs/dart.py", "--workdir=runs/dart"]
ON_GPU, ON_TPU = ("--config.execution.platform=gpu", "--config.execution.platform=tpu")
SLICE = ["--name=tpu", "--zone=us-west4-a"]
QUICK = ["--poll=0", "--fetch-every=0"]
# Instead of an environment with jax: what stands for the program.
ENVIRONMENT = f"""
suitable_python() {{ :; }}
make_environment() {{
  echo "$1" >extra
  mkdir -p .venv/bin
  ln -sf {shlex.quote(str(PROGRAMS / "fake_python"))} .venv/bin/python
}}
"""


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A checkout with nothing but the launch scripts."""
    checkout = tmp_path_factory.mktemp("committed")
    shutil.copytree(ROOT / "launch", checkout / "launch")
    (checkout / "launch" / "environment.sh").write_text(ENVIRONMENT)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "launch"]):
        subprocess.run([*git, *command], cwd=checkout, check=True)
    return checkout


class StandIns:
    """A checkout in which scripts are called, and the folder of the programs that stand for others."""

    def __init__(self, folder, committed):
        self.folder, self.checkout = folder, folder / "check out"  # a name with a space goes through every shell
        shutil.copytree(committed, self.checkout)
        (folder / "told").mkdir()
        path = os.pathsep.join([str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "STAND_INS": str(folder), "TMPDIR": str(folder)}

    def tell(self, what, *lines):
        (self.folder / "told" / what).write_text("".join(line + "\n" for line in lines))

    def run(self, *command, status=0, **environment):
        done = subprocess.run(
            ["bash", *command],
            cwd=self.checkout,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def calls(self, program):
        if not (self.folder / "calls.jsonl").exists():
            return []
        rows = map(json.loads, (self.folder / "calls.jsonl").read_text().splitlines())
        return [row[1:] for row in rows if row[0] == program]

    def steps(self):
        """The calls of gcloud that change something, in a word each; an ssh by what it makes launch/on_host.sh do."""
        words = []
        for call in self.calls("gcloud"):
            verb = call[3]
            if verb == "ssh":
                command = next(argument for argument in call if argument.startswith("--command="))
                words += re.findall(r"on_host\.sh (\w+)|(?:^|&& )(tar) ", command)
            elif verb != "describe":
                words.append((verb,))
        return ["".join(word) for word in words]


@pytest.fixture
def stand_ins(tmp_path, committed):
    return StandIns(tmp_path, committed)


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


# launch/tpu_vm.sh


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


# launch/slurm.sh


LIST = "aa11|3|0|dart PT/bb22|1|0|dart ICL/cc33|3|1|mtop from dart"


@pytest.fixture
def cluster(stand_ins):
    stand_ins.run("launch/on_host.sh", "install", "cuda")
    return stand_ins


def test_one_job_has_a_task_per_gpu_of_every_node(cluster):
    flags = ["--nodes=2", "--gpus-per-node=8", "--time=4:00:00", "--sbatch=--comment=two words"]
    cluster.run("launch/slurm.sh", *flags, "--", *EXPERIMENT)
    assert cluster.calls("sbatch") == [["--parsable", "runs/dart/slurm/experiment.sh"]]
    script = (cluster.checkout / "runs/dart/slurm/experiment.sh").read_text()
    options = [shlex.split(line[8:])[0] for line in script.splitlines() if line.startswith("#SBATCH ")]
    assert options == [
        *["--job-name=experiment", f"--chdir={cluster.checkout}", "--output=runs/dart/slurm/experiment-%j.log"],
        *["--open-mode=append", "--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8", "--requeue"],
        *["--signal=TERM@120", "--time=4:00:00", "--comment=two words"],
    ]
    cluster.run("runs/dart/slurm/experiment.sh", SLURM_JOB_ID="7")
    program = [".venv/bin/python", "-m", "ipt_jax.main", *EXPERIMENT, ON_GPU, "--distributed"]
    assert cluster.calls("srun") == [["--kill-on-bad-exit=1", *program]]


@pytest.mark.parametrize(
    "status, variables, requeued",
    [
        (75, {}, [["requeue", "7"]]),
        (75, {"SLURM_RESTART_COUNT": "2"}, []),
        (1, {}, []),
        (0, {}, []),
    ],
)
def test_a_job_goes_back_into_the_queue_with_status_75_alone_and_not_for_ever(cluster, status, variables, requeued):
    cluster.run("launch/slurm.sh", "--restarts=2", "--", *EXPERIMENT)
    cluster.tell("exit", str(status))
    cluster.run("runs/dart/slurm/experiment.sh", status=status, SLURM_JOB_ID="7", **variables)
    assert cluster.calls("scontrol") == requeued
    assert "--distributed" not in cluster.calls("srun")[0]  # it has one GPU


def test_arrays_wait_for_those_whose_prompts_they_take_and_the_report_for_all(cluster):
    cluster.tell("list", LIST)
    cluster.run("launch/slurm.sh", "--array", "--max-running=4", "--", *EXPERIMENT)
    after = ["--parsable", "--kill-on-invalid-dep=yes"]
    assert cluster.calls("sbatch") == [
        ["--parsable", "runs/dart/slurm/populations-0.sh"],
        [after[0], "--dependency=afterok:101", after[1], "runs/dart/slurm/populations-1.sh"],
        [after[0], "--dependency=afterok:102", after[1], "runs/dart/slurm/report.sh"],
    ]
    scripts = {path.stem: path.read_text() for path in (cluster.checkout / "runs/dart/slurm").glob("*.sh")}
    assert "#SBATCH --array=0-1%4\n" in scripts["populations-0"]
    assert "#SBATCH --array=0-0%4\n" in scripts["populations-1"]
    assert "--array" not in scripts["report"] and "--only" not in scripts["report"]


def test_a_platform_of_ones_own_stays(cluster):
    cluster.tell("list", LIST)
    cluster.run("launch/slurm.sh", "--array", "--", *EXPERIMENT, "--config.execution.platform=cpu")
    assert cluster.calls("python") == [["-m", "ipt_jax.main", *EXPERIMENT, "--config.execution.platform=cpu", "--list"]]


def test_each_job_of_an_array_carries_out_its_own_population_and_is_requeued_alone(cluster):
    cluster.tell("list", LIST)
    cluster.run("launch/slurm.sh", "--array", "--", *EXPERIMENT)
    cluster.tell("exit", "75")
    variables = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    cluster.run("runs/dart/slurm/populations-0.sh", status=75, **variables)
    assert cluster.calls("python")[-1] == ["-m", "ipt_jax.main", *EXPERIMENT, ON_GPU, "--only=bb22"]
    assert cluster.calls("scontrol") == [["requeue", "7_1"]]


def test_a_finished_experiment_needs_only_its_report_and_a_failing_list_submits_nothing(cluster):
    cluster.run("launch/slurm.sh", "--array", "--", *EXPERIMENT)
    assert cluster.calls("sbatch") == [["--parsable", "runs/dart/slurm/report.sh"]]
    cluster.tell("exit", "2")
    done = cluster.run("launch/slurm.sh", "--array", "--", *EXPERIMENT, status=2)
    assert "gave no list" in done.stderr and len(cluster.calls("sbatch")) == 1


def test_nothing_is_submitted_that_would_not_wait_for_what_was_refused(cluster):
    cluster.tell("list", LIST)
    cluster.tell("refuse", "yes")
    done = cluster.run("launch/slurm.sh", "--array", "--", *EXPERIMENT, status=2)
    assert "sbatch refused runs/dart/slurm/populations-0.sh" in done.stderr
    assert len(cluster.calls("sbatch")) == 1


def test_a_dry_run_prints_scripts_and_commands_and_submits_nothing(cluster):
    cluster.tell("list", LIST)
    text = cluster.run("launch/slurm.sh", "--array", "--dry-run", "--", *EXPERIMENT).stdout
    assert "populations=(aa11 bb22)" in text and "#SBATCH --requeue" in text
    assert "sbatch --parsable --dependency=afterok:ID_OF_populations-0 --kill-on-invalid-dep=yes " in text
    assert not cluster.calls("sbatch") and not (cluster.checkout / "runs").exists()


# launch/gpu_hosts.sh


def test_every_host_gets_the_same_command_and_its_place(cluster):
    awkward = '--config.layout.template=it\'s "$HOME"'
    done = cluster.run("launch/gpu_hosts.sh", "--hosts=me@a,b", "--port=999", "--", *EXPERIMENT, awkward)
    places = [f"--process_id={i}" for i in range(2)]
    program = ["-m", "ipt_jax.main", *EXPERIMENT, awkward, ON_GPU, "--distributed", "--coordinator_address=a:999"]
    assert sorted(cluster.calls("python")) == [[*program, "--num_processes=2", place] for place in places]
    assert sorted(re.sub(r"\d rows", "rows", line) for line in done.stdout.splitlines()) == [
        "[b] found rows",
        "[me@a] found rows",
    ]


def test_a_process_per_gpu_sees_that_gpu_alone(cluster):
    text = cluster.run("launch/gpu_hosts.sh", "--dry-run", "--hosts=a,b", "--gpus-per-host=2", "--", *EXPERIMENT).stdout
    starts = [shlex.split(line)[-2:] for line in text.splitlines() if "on_host.sh start" in line]
    assert [host for host, _ in starts] == ["a", "a", "b", "b"]
    devices = [re.search("CUDA_VISIBLE_DEVICES=(.)", command)[1] for _, command in starts]
    assert devices == ["0", "1", "0", "1"]
    assert all(command.endswith(f"--num_processes=4 --process_id={i}") for i, (_, command) in enumerate(starts))
    assert not cluster.calls("ssh")


def test_one_failing_process_ends_all(cluster):
    cluster.tell("exit-0", "block")
    cluster.tell("exit-1", "3")
    done = cluster.run("launch/gpu_hosts.sh", "--hosts=a,b", "--", *EXPERIMENT, status=3)
    assert "[b] process 1 ended with status 3" in done.stderr
    there = {"TMPDIR": f"{cluster.folder}/host-a"}
    assert cluster.run("launch/on_host.sh", "status", "runs-dart-0", **there).stdout == "finished 75\n"


def test_status_75_starts_all_again(cluster):
    cluster.tell("exit-0", "block")
    cluster.tell("exit-1", "75")
    done = cluster.run("launch/gpu_hosts.sh", "--hosts=a,b", "--", *EXPERIMENT)
    assert "asks to be started again" in done.stderr and len(cluster.calls("python")) == 4


def test_a_broken_connection_ends_all_and_is_an_error(cluster):
    cluster.tell("exit-0", "block")
    cluster.tell("exit-1", "block")
    cluster.tell("watch-b", "255")
    done = cluster.run("launch/gpu_hosts.sh", "--hosts=a,b", "--", *EXPERIMENT, status=255)
    assert "[b] process 1 ended with status 255" in done.stderr
    for process, host in enumerate("ab"):
        there = {"TMPDIR": f"{cluster.folder}/host-{host}"}
        assert cluster.run("launch/on_host.sh", "status", f"runs-dart-{process}", **there).stdout == "finished 75\n"


def test_without_a_shared_disk_code_data_and_results_are_copied(stand_ins):
    (stand_ins.checkout / "runs/dart").mkdir(parents=True)
    (stand_ins.checkout / "runs/dart/results.jsonl").write_text("{}\n")
    (stand_ins.checkout / "my data").mkdir()
    flags = ["--hosts=a,b", "--copy", "--upload=my data", "--checkout=some where"]
    stand_ins.run("launch/gpu_hosts.sh", *flags, "--", *EXPERIMENT)
    for host in "ab":
        there = stand_ins.folder / f"host-{host}" / "some where"
        assert (there / "launch/on_host.sh").exists() and (there / "my data").is_dir()
        assert (there / "extra").read_text() == "cuda\n"
    assert (stand_ins.checkout / "runs/dart/results.jsonl").read_text() == "{}\n{}\n"
