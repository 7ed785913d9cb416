"""launch/gpu_hosts.sh, against a program that stands for ssh."""

import re
import shlex

from launchers import EXPERIMENT, ON_GPU


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
