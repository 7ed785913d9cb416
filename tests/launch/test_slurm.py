"""launch/slurm.sh, against programs that stand for sbatch, srun and scontrol."""

import shlex

import pytest
from launchers import EXPERIMENT, ON_GPU

LIST = "aa11|3|0|dart PT/bb22|1|0|dart ICL/cc33|3|1|mtop from dart"


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
