"""Several processes do one experiment together, and end together."""

import json
import re
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import small_config
import together
from paths import HELPERS
from tiny import write_hf_folder
from tolerances import TRAINING, close

from ipt_jax.adapters.files import load_prompt
from ipt_jax.errors import InputError
from ipt_jax.experiment import experiment
from ipt_jax.runtime import processes
from ipt_jax.workdir.json_files import read_rows


@pytest.fixture(scope="module")
def talk():
    """What two processes with two devices each say of the same calls."""
    port = together.free_port()
    commands = [[sys.executable, str(HELPERS / "talk_together.py"), str(port), "2", str(k)] for k in range(2)]
    with together.started(commands, devices=2) as running:
        said = together.finish(running, timeout=120)
    assert [process.returncode for process in running] == [0, 0], "\n".join(text[-3000:] for text in said)
    return [json.loads(text.splitlines()[-1]) for text in said]


def test_what_the_first_process_reads_reaches_the_others_to_the_bit(talk):
    for told in talk:
        assert told["json"] == [0, "schön " * 1000, {"x": [1, 2]}]
        wanted = np.array([[-0.0, np.nan, 0]], np.float32)
        assert told["bytes"] == [0, wanted.tobytes().hex(), "float32", [1, 3]]
        assert told["nothing"] is None and told["array"] == [2, 0, 3]


def test_an_error_of_one_process_is_raised_on_all_and_says_where_it_was(talk):
    first, second = talk
    assert first["wrong input"] == "InputError: no such file"
    assert second["wrong input"] == "InputError: the first process reports: no such file"
    assert second["defect"] == "RuntimeError: the first process reports: 'x'"
    assert first["on one"] == second["on one"] == "InputError: process 1: weights are missing"
    assert first["other"] == second["other"] and "process 1: other weights than the first process" in first["other"]
    assert first["same"] is second["same"] is None


def test_numbers_and_facts_are_agreed_on(talk):
    for told in talk:
        assert told["least"] == 2**40 and told["everywhere"] == [True, False]


def test_each_process_hands_over_only_the_rows_of_its_own_devices(talk):
    for told in talk:
        assert told["held"] == 4 and told["sum"] == 28.0 and told["back"] == [list(range(8))]


def test_asking_whether_to_leave_costs_next_to_nothing(talk):
    for told in talk:
        assert told["preempted"] == 0 and told["microseconds"] < 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((False, "h:1", None, None), "--coordinator_address=h:1: this is for several processes; add --distributed"),
        ((True, "h:1", 2, None), "--coordinator_address=h:1, --num_processes=2 without --process_id: give all three"),
        ((True, None, None, 0), "--process_id=0 without --coordinator_address and --num_processes"),
        ((True, "host", 2, 0), "--coordinator_address=host must be HOST:PORT"),
        ((True, "h:1", 2, 2), "--process_id=2 must be one of 0 to 1"),
    ],
)
def test_flags_that_do_not_go_together_say_so(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        processes.start(*arguments)


def test_without_a_cluster_that_jax_knows_the_flags_that_are_wanted_are_named(monkeypatch):
    def initialize(*_, **__):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(processes.jax.distributed, "initialize", initialize)
    with pytest.raises(InputError, match="neither a TPU slice nor a SLURM job.*--coordinator_address=HOST:PORT"):
        processes.start(True, None, None, None)


RUNS = "pt,ipt,icl_retrieved_one_shot"
QUICK = {"training.steps": 2, "training.eval_every": 2, "limit.test": 4, "decoding.max_new_tokens": 2}


@pytest.fixture(scope="module")
def lm_folder(tmp_path_factory):
    return write_hf_folder(tmp_path_factory.mktemp("lm"), "gpt2", n_positions=1024)


def done_alone(lm_folder, workdir, only, changes=()):
    config = small_config.get_config(only)
    config.model.source, config.execution.cache_dir = str(lm_folder), str(workdir / "cache")
    config.update_from_flattened_dict(dict(changes))
    experiment.run(config, workdir / "w")
    return workdir / "w"


@pytest.fixture(scope="module")
def alone(lm_folder, tmp_path_factory):
    return done_alone(lm_folder, tmp_path_factory.mktemp("alone"), RUNS)


def commands(folder, lm_folder, count, *flags, only=RUNS):
    """Each process has its own working directory and cache, as on hosts without a disk in common."""
    port = together.free_port()
    return [
        [
            sys.executable,
            "-m",
            "ipt_jax.main",
            f"--config=tests/helpers/small_config.py:{only}",
            f"--workdir={folder}/workdir{process}",
            f"--config.model.source={lm_folder}",
            f"--config.execution.cache_dir={folder}/cache{process}",
            *together.flags(process, count, port),
            *flags,
        ]
        for process in range(count)
    ]


def run_together(folder, lm_folder, count, *flags, devices=1, only=RUNS):
    with together.started(commands(folder, lm_folder, count, *flags, only=only), devices) as running:
        said = together.finish(running)
    assert all(process.returncode == 0 for process in running), "\n".join(text[-3000:] for text in said)
    return said


def same_outcome(alone, workdir):
    """Equal predictions, prompts and losses within the tolerance, every run once."""
    rows = {row["run"]: row for row in read_rows(workdir / "results.jsonl")}
    runs = sorted(path.name for path in (alone / "runs").iterdir())
    assert runs == sorted(rows) == sorted(path.name for path in (workdir / "runs").iterdir())
    assert len(read_rows(workdir / "results.jsonl")) == len(runs)
    for run in runs:
        one, other = alone / "runs" / run, workdir / "runs" / run
        texts = [{r["id"]: r["prediction"] for r in read_rows(folder / "predictions.jsonl")} for folder in (one, other)]
        assert texts[0] == texts[1] and len(texts[0]) == len(read_rows(other / "predictions.jsonl")) > 0
        if (one / "prompt.safetensors").exists():
            close(load_prompt(other), load_prompt(one), TRAINING)
            losses = [
                [(r["step"], r.get("loss", r.get("dev_loss"))) for r in read_rows(folder / "metrics.jsonl")]
                for folder in (one, other)
            ]
            assert [step for step, _ in losses[0]] == [step for step, _ in losses[1]]
            close(*[[loss for _, loss in each] for each in reversed(losses)], TRAINING)


@pytest.mark.slow
@pytest.mark.parametrize("beams", [1, 2])
def test_two_processes_end_with_the_results_of_one_and_only_the_first_has_the_folder(beams, lm_folder, tmp_path):
    changes = QUICK | {"decoding.num_beams": beams}
    flags = [f"--config.{leaf}={value}" for leaf, value in changes.items()]
    said = run_together(tmp_path, lm_folder, 2, *flags, only="pt")
    same_outcome(done_alone(lm_folder, tmp_path, "pt", changes), tmp_path / "workdir0")
    assert not (tmp_path / "workdir1").exists() and (tmp_path / "workdir0" / "report" / "index.html").exists()
    silent = [line for line in said[1].splitlines() if not line.startswith("[Gloo]")]
    assert "PT" in said[0] and silent == []  # progress, messages and the table come from the first alone
    assert " in 2 processes" in read_rows(tmp_path / "workdir0" / "results.jsonl")[0]["devices"]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "devices", "axis"), [(2, 2, "rows"), (4, 1, "rows"), (2, 1, "members")])
def test_however_many_processes_there_are_the_results_are_those_of_one(
    alone, lm_folder, tmp_path, count, devices, axis
):
    flags = [f"--config.execution.population_axis={axis}"]
    run_together(tmp_path, lm_folder, count, *flags, devices=devices)
    same_outcome(alone, tmp_path / "workdir0")


@pytest.mark.slow
def test_a_model_that_is_laid_over_two_processes_gives_the_same_results(alone, lm_folder, tmp_path):
    run_together(tmp_path, lm_folder, 2, "--config.execution.model_devices=2")
    same_outcome(alone, tmp_path / "workdir0")


@pytest.mark.slow
def test_a_host_that_has_computed_nothing_yet_and_one_that_has_all_go_on_together(alone, lm_folder, tmp_path):
    run_together(tmp_path, lm_folder, 2)
    shutil.rmtree(tmp_path / "cache0")
    shutil.rmtree(tmp_path / "workdir0")
    run_together(tmp_path, lm_folder, 2)
    same_outcome(alone, tmp_path / "workdir0")


def wait_for(condition, running, timeout=200):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline and all(process.poll() is None for process in running)
        time.sleep(0.05)


def steps_done(workdir):
    rows = [row for path in workdir.glob("runs/*/metrics.jsonl") for row in read_rows(path)]
    return max((row["step"] for row in rows if "loss" in row), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_the_other_ends_within_a_minute_and_the_same_command_goes_on(
    alone, lm_folder, tmp_path, killed
):
    with together.started(commands(tmp_path, lm_folder, 2)) as running:
        wait_for(lambda: steps_done(tmp_path / "workdir0") > 0, running)
        running[killed].send_signal(signal.SIGKILL)
        began = time.monotonic()
        assert running[1 - killed].wait(timeout=60) not in (0, 75)
        print(f"{time.monotonic() - began:.1f} s")
    run_together(tmp_path, lm_folder, 2)
    same_outcome(alone, tmp_path / "workdir0")


@pytest.mark.slow
def test_sigterm_for_one_process_saves_the_step_of_all_and_all_ask_to_be_restarted(lm_folder, tmp_path):
    leaves = ("training.steps", "training.eval_every", "execution.checkpoint_every")
    flags, done = [f"--config.{leaf}=5000" for leaf in leaves], 0
    for _ in range(2):
        with together.started(commands(tmp_path, lm_folder, 2, *flags, only="pt")) as running:
            wait_for(lambda: steps_done(tmp_path / "workdir0") > done, running)  # noqa: B023
            running[1].send_signal(signal.SIGTERM)
            said = together.finish(running, timeout=100)
        assert [process.returncode for process in running] == [75, 75], "\n".join(text[-3000:] for text in said)
        assert f"going on from step {done}" in said[0] or not done
        done = steps_done(tmp_path / "workdir0")
        assert f"SIGTERM; step {done} is saved" in said[0] and "process 1: warning" in said[1]
        assert list(tmp_path.glob(f"workdir0/populations/*/checkpoints/{done}"))


@pytest.mark.slow
def test_what_the_first_process_cannot_read_ends_all_with_the_status_of_a_wrong_input(lm_folder, tmp_path):
    (tmp_path / "workdir0" / "runs" / "x").mkdir(parents=True)
    (tmp_path / "workdir0" / "runs" / "x" / "result.json").write_text("{")
    with together.started(commands(tmp_path, lm_folder, 2, only="zero_shot")) as running:
        said = together.finish(running, timeout=60)
    assert [process.returncode for process in running] == [2, 2]
    assert "result.json: not a JSON object" in said[0]
    assert "the first process reports" in said[1] and "result.json: not a JSON object" in said[1]


@pytest.mark.slow
def test_a_host_with_another_experiment_is_named_on_all(lm_folder, tmp_path):
    first, second = commands(tmp_path, lm_folder, 2, only="pt")
    with together.started([first, [*second, "--config.prompt.hidden=9"]]) as running:
        said = together.finish(running, timeout=60)
    assert [process.returncode for process in running] == [2, 2]
    assert all("process 1: other runs than the first process has" in text for text in said)
