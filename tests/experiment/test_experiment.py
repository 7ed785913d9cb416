"""From a config to a report with a tiny model: every method, resume after kill -9, and failures that lose nothing."""

import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import call
from devices import simulated
from paths import HELPERS, ROOT
from small_config import config_for
from small_lm import write_lm
from tiny import write_hf_folder
from tolerances import TRAINING, close

import ipt_jax
from ipt_jax.adapters.files import load_prompt
from ipt_jax.configs import totto
from ipt_jax.errors import InputError
from ipt_jax.experiment import evaluation, experiment
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.finished_run import load_run
from ipt_jax.plan import plan
from ipt_jax.plan.forecast import forecast
from ipt_jax.rows.order import RULE
from ipt_jax.tasks import get_task
from ipt_jax.workdir.json_files import read_json, read_rows


def test_every_method_leaves_its_run_folder_its_row_and_its_place_in_the_report(finished):
    rows = read_rows(finished / "results.jsonl")
    assert sorted(row["method"] for row in rows) == [
        "ICL, random one-shot",
        "ICL, retrieved one-shot",
        "ICL, retrieved three-shot",
        "IPT",
        "IPT",
        "PT",
        "PT",
        "zero-shot",
    ]
    for row in rows:
        folder = finished / "runs" / row["run"]
        assert read_json(folder / "result.json") == row
        assert read_json(folder / "run.json")["method"] == row["method"]
        predictions = read_rows(folder / "predictions.jsonl")
        assert len(predictions) == len({p["id"] for p in predictions}) == 10
        assert {len(p["demonstrations"]) for p in predictions} == {row["demonstrations"]}
        assert row["scores"]["bleu_unifiedskg"] == row["score"]
        assert row["metrics"]["bleu_unifiedskg"]["title"] == "BLEU (UnifiedSKG)"
        assert row["metrics"].keys() == {*row["scores"], "sentence_bleu"} - {"signatures"}
        assert all(isinstance(p["score"], float) for p in predictions)
        trained = row["method"] in ("PT", "IPT")
        assert (folder / "prompt.safetensors").exists() == trained == (row["training"] is not None)
        if trained:
            assert load_prompt(folder).shape == (3, 32)
            assert (load_prompt(folder / "checkpoints") == load_prompt(folder)).all()
            steps = [r["step"] for r in read_rows(folder / "metrics.jsonl") if "loss" in r]
            assert steps == list(range(1, 13))
    assert not list((finished / "populations").iterdir())
    assert "IPT" in (finished / "report" / "index.html").read_text()


def test_a_finished_run_continues_other_inputs_as_it_continued_its_own(finished):
    for method in ("IPT", "ICL, random one-shot", "zero-shot"):
        row = next(r for r in read_rows(finished / "results.jsonl") if r["method"] == method)
        run = load_run(finished / "runs" / row["run"])
        predicted = {p["id"]: p for p in read_rows(finished / "runs" / row["run"] / "predictions.jsonl")}
        texts = {e.id: e.input for e in get_task("sample").read("test") if e.id in predicted}
        rows = run.rows(list(texts), list(texts.values()))
        assert [r.source for r in rows] == [predicted[id]["input"] for id in texts]
        assert method in run.describe()
        if row["retriever"] != "random":  # there a text's draw depends on its id
            answers = [answer.text.strip() for answer in run.predict(list(texts.values()))]
            assert answers == [predicted[id]["prediction"] for id in texts]


def test_the_text_of_a_prediction_row_is_what_the_model_saw(finished):
    row = next(r for r in read_rows(finished / "results.jsonl") if r["method"] == "ICL, retrieved three-shot")
    for prediction in read_rows(finished / "runs" / row["run"] / "predictions.jsonl"):
        assert prediction["input"].count("Input: ") == 4 and prediction["input"].endswith("\nOutput:")
        similarities = [d["similarity"] for d in prediction["demonstrations"]]
        assert similarities == sorted(similarities)  # the nearest stands beside the input
        assert all(d["id"].startswith("train:") for d in prediction["demonstrations"])


def test_a_finished_experiment_does_nothing_when_started_again(finished, lm_folder, cache, monkeypatch):
    monkeypatch.setattr(experiment, "Execution", None)  # using it would fail
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    experiment.run(config_for(lm_folder, cache), finished)
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert {p for p in after if before.get(p) != after[p]} == {finished / "config.json"}


def test_a_new_seed_trains_alone_and_touches_no_finished_run(finished, lm_folder, cache, tmp_path):
    shutil.copytree(finished, tmp_path / "w")
    before = {p: p.read_bytes() for p in (tmp_path / "w").glob("runs/*/*") if p.is_file()}
    config = config_for(lm_folder, cache, "pt")
    config.runs.pt.seed = (0, 1, 2)
    experiment.run(config, tmp_path / "w")
    assert len(list((tmp_path / "w").glob("runs/*/prompt.safetensors"))) == 4 + 1
    assert all(path.read_bytes() == content for path, content in before.items())


def command(workdir, lm_folder, cache, *flags, only=""):
    return [
        sys.executable,
        "-m",
        "ipt_jax.main",
        f"--config={ROOT}/tests/helpers/small_config.py:{only}",
        f"--workdir={workdir}",
        f"--config.model.source={lm_folder}",
        f"--config.execution.cache_dir={cache}",
        *flags,
    ]


def kill_until_finished(workdir, lm_folder, cache, delays):
    """Starts the command and kills it after each delay, counted from its first sign of life; then lets it end."""
    for delay in delays:
        process = subprocess.Popen(
            command(workdir, lm_folder, cache), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        config, seen = workdir / "config.json", time.time()
        while process.poll() is None and not (config.exists() and config.stat().st_mtime > seen - 1):
            time.sleep(0.05)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(workdir, lm_folder, cache), cwd=ROOT, check=True, capture_output=True, timeout=300)


def same_outcome(a, b):
    """Equal prompts to the bit, equal predictions, every run once."""
    runs = sorted(path.name for path in (a / "runs").iterdir())
    assert runs == sorted(path.name for path in (b / "runs").iterdir())
    assert sorted(row["run"] for row in read_rows(b / "results.jsonl")) == runs
    for run in runs:
        one, other = a / "runs" / run, b / "runs" / run
        assert (one / "prompt.safetensors").exists() == (other / "prompt.safetensors").exists()
        if (one / "prompt.safetensors").exists():
            assert load_prompt(one).tobytes() == load_prompt(other).tobytes()
            losses = [
                [(r["step"], r.get("loss"), r.get("dev_loss")) for r in read_rows(folder / "metrics.jsonl")]
                for folder in (one, other)
            ]
            assert losses[0] == losses[1]
        texts = [{r["id"]: r["prediction"] for r in read_rows(f / "predictions.jsonl")} for f in (one, other)]
        assert texts[0] == texts[1] and len(read_rows(other / "predictions.jsonl")) == 10


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written_costs_no_bit(finished, lm_folder, cache, tmp_path):
    script = f"""
import os, signal, sys
sys.path[:0] = [{str(ROOT)!r}, {str(HELPERS)!r}]
from small_config import config_for
from ipt_jax.experiment import experiment
from ipt_jax.training import checkpoints
begun = []
def die(event, args):  # at the rename that would make the second checkpoint whole
    if event == "os.rename" and begun and begun[-1] == 4 and "checkpoints" in str(args[0]):
        os.kill(os.getpid(), signal.SIGKILL)
save = checkpoints.Checkpoints.save
checkpoints.Checkpoints.save = lambda self, step, state: (begun.append(step), save(self, step, state))
sys.addaudithook(die)
experiment.run(config_for({str(lm_folder)!r}, {str(cache)!r}, "pt"), {str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    left = [path.name for path in tmp_path.glob("populations/*/checkpoints/*")]
    assert "0" in left and "4" not in left and len(left) == 2  # and what was being written
    experiment.run(config_for(lm_folder, cache, "pt"), tmp_path)
    prompts = sorted(tmp_path.glob("runs/*/prompt.safetensors"))
    assert len(prompts) == 2
    for prompt in prompts:
        assert load_prompt(prompt).tobytes() == load_prompt(finished / "runs" / prompt.parent.name).tobytes()


def test_a_run_does_not_go_on_with_other_weights_under_the_same_path(cache, tmp_path, monkeypatch):
    source = write_lm(tmp_path / "lm", cache)
    config, append = config_for(source, cache, "zero_shot"), evaluation.append_rows

    def append_and_die(path, rows):
        append(path, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "append_rows", append_and_die)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path / "work")
    monkeypatch.setattr(evaluation, "append_rows", append)
    write_lm(source, cache, seed=1)
    with pytest.raises(InputError, match=r"was begun with other weights than config\.model\.source"):
        experiment.run(config, tmp_path / "work")
    write_lm(source, cache)
    experiment.run(config, tmp_path / "work")
    assert len(read_rows(tmp_path / "work" / "results.jsonl")) == 1


@pytest.mark.slow
def test_sigterm_saves_the_step_and_exits_with_a_status_to_be_restarted(lm_folder, cache, tmp_path):
    flags = ["--config.training.steps=2000", "--config.execution.checkpoint_every=2000"]
    flags += ["--config.training.eval_every=2000"]
    process = subprocess.Popen(
        command(tmp_path, lm_folder, cache, *flags, only="pt"), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline:
        if any("learning_rate" in path.read_text() for path in tmp_path.glob("runs/*/metrics.jsonl")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 75, errors[-2000:]
    assert "SIGTERM" in errors and "Traceback" not in errors
    steps = {int(path.name) for path in tmp_path.glob("populations/*/checkpoints/*")}
    assert len(steps) == 2 and 0 in steps  # that of the start and that of the signal
    logged = max(row["step"] for path in tmp_path.glob("runs/*/metrics.jsonl") for row in read_rows(path))
    assert max(steps) == logged


@pytest.mark.slow
def test_a_population_that_would_not_fit_is_trained_in_parts_to_the_same_prompts(
    finished, lm_folder, cache, tmp_path, caplog
):
    config = config_for(lm_folder, cache, "pt")
    config.execution.memory_gb = 1e-6
    with caplog.at_level("INFO"):
        experiment.run(config, tmp_path)
    assert "trained 1 at a time" in caplog.text
    prompts = sorted(tmp_path.glob("runs/*/prompt.safetensors"))
    assert len(prompts) == 2
    for prompt in prompts:
        close(load_prompt(prompt), load_prompt(finished / "runs" / prompt.parent.name), TRAINING)


def test_a_result_tells_of_the_prompt_and_of_the_time_the_device_waited(finished):
    for row in read_rows(finished / "results.jsonl"):
        if row["training"]:
            assert len(row["training"]["nearest_words"]) == 3 and row["training"]["order"] == RULE
            assert 0 <= row["training"]["host_wait"] <= 1 and row["training"]["prompt_norm"] > 0
    assert "nearest words" in (finished / "report" / "index.html").read_text()


def test_a_result_tells_its_arithmetic_and_what_its_examples_share_with_training(finished, lm_folder, cache, tmp_path):
    rows = read_rows(finished / "results.jsonl")
    config = config_for(lm_folder, cache, "pt", "zero_shot")
    preparer_of = plan.preparers(config)
    for group in populations(experiment.resolve(config)):
        planned = forecast(preparer_of(group[0].settings), group, tmp_path)
        done = [row["arithmetic"] for row in rows if row["run"] in {run.id for run in group}]
        # The rows are the same: only how long the answers are was not known before.
        assert sum(each["train"] for each in done) == pytest.approx(planned.train)
        assert sum(each["evaluate"] for each in done) >= planned.prefill > 0
    for row in rows:
        seen = None if row["method"] == "zero-shot" else {"same_input": 0, "near_duplicate": 0, "examples": 10}
        assert row["overlap"] == seen and (row["arithmetic"]["train"] > 0) == (row["training"] is not None)


@pytest.mark.slow
def test_after_twelve_kills_the_same_command_goes_on_to_the_same_bits(cache, tmp_path):
    lm_folder = write_hf_folder(tmp_path / "lm", "gpt2", n_positions=1024)  # byte by byte: rows of many lengths
    experiment.run(config_for(lm_folder, cache), tmp_path / "at once")
    random = np.random.default_rng(1)
    kill_until_finished(tmp_path / "killed", lm_folder, cache, random.uniform(0.0, 14.0, size=12))
    same_outcome(tmp_path / "at once", tmp_path / "killed")


def test_a_kill_between_decoding_batches_decodes_only_the_rest(lm_folder, cache, tmp_path, monkeypatch):
    config = config_for(lm_folder, cache, "zero_shot")
    append, calls = evaluation.append_rows, []

    def append_and_die(path, rows):
        append(path, rows)
        calls.append(len(rows))
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "append_rows", append_and_die)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, tmp_path)
    assert not list(tmp_path.glob("runs/*/result.json"))
    experiment.run(config, tmp_path)
    assert sum(calls) == 10
    (predictions,) = tmp_path.glob("runs/*/predictions.jsonl")
    assert len({row["id"] for row in read_rows(predictions)}) == 10


def test_a_loss_that_is_not_finite_stops_that_run_alone_and_says_at_which_step(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "pt", "zero_shot")
    config.runs.pt = {"layout": {"prompt_tokens": 3}, "training": {"learning_rate": (1e-3, 1e38)}}
    config.prompt.reparameterisation = "none"
    for _ in range(2):  # the second time it fails at once, with the same words
        with pytest.raises(InputError, match=r"loss stopped being finite at step \d+.*populations.*learning_rate"):
            experiment.run(config, tmp_path)
        rows = read_rows(tmp_path / "results.jsonl")
        assert sorted(row["method"] for row in rows) == ["PT", "zero-shot"]
    assert list(tmp_path.glob("populations/*/checkpoints/*"))


def test_a_full_disk_while_a_row_is_written_loses_nothing(lm_folder, cache, tmp_path, monkeypatch):
    append = evaluation.append_rows

    def append_to_a_disk_with_little_room(path, rows):  # the first batch fits, the second does not
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        room = path.stat().st_size + 100 if path.exists() else before[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            append(path, rows)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "append_rows", append_to_a_disk_with_little_room)
        with pytest.raises(InputError, match=r"predictions\.jsonl: could not write"):
            experiment.run(config_for(lm_folder, cache, "zero_shot"), tmp_path)
    (predictions,) = tmp_path.glob("runs/*/predictions.jsonl")
    assert len(read_rows(predictions)) == 4
    experiment.run(config_for(lm_folder, cache, "zero_shot"), tmp_path)
    assert len(read_rows(predictions)) == 10


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.layuot.prompt_tokens=3"], "layout"),
        (["--config.runs.pt.layout.promt_tokens=3"], "prompt_tokens"),
        (["--config.task.name=dart", "--config.task.data_dir=nowhere"], "Yale-LILY/dart"),
        (["--config.model.source=nowhere/at/all.gguf"], "nowhere/at/all.gguf"),
        (["--confg=x"], "config"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_fix(lm_folder, cache, tmp_path, flags, message):
    done = call(*command(tmp_path / "w", lm_folder, cache, *flags)[2:])
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert message in done.stderr.splitlines()[-1]


def test_rows_that_cannot_fit_are_refused_before_anything_is_trained(cache, tmp_path):
    folder = write_hf_folder(tmp_path / "lm", "gpt2", n_positions=100)
    with pytest.raises(InputError, match=r"sample train:\d+:0: \d+ tokens of input and \d+ of target do not fit 97"):
        experiment.run(config_for(folder, cache, "pt"), tmp_path / "w")
    assert not list((tmp_path / "w").glob("runs/*/metrics.jsonl"))


def test_a_prompt_trained_in_one_run_is_the_start_of_another(finished, lm_folder, cache, tmp_path):
    run = next(r["run"] for r in read_rows(finished / "results.jsonl") if r["method"] == "PT")
    config = config_for(lm_folder, cache, "zero_shot")
    config.runs.zero_shot = {
        "layout": {"prompt_tokens": 3, "demonstrations": 1},
        "prompt": {"initialisation": "file", "source": str(finished / "runs" / run / "checkpoints")},
        "training": {"steps": 0},
    }
    experiment.run(config, tmp_path)
    (row,) = read_rows(tmp_path / "results.jsonl")
    assert row["method"].startswith("transfer") and row["training"] is None


@pytest.mark.slow
def test_four_devices_give_the_prompts_of_one(finished, lm_folder, cache, tmp_path):
    environment = simulated(4)
    done = subprocess.run(
        command(tmp_path, lm_folder, cache, only="pt,zero_shot"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for prompt in tmp_path.glob("runs/*/prompt.safetensors"):
        close(load_prompt(prompt), load_prompt(finished / "runs" / prompt.parent.name), TRAINING)
    assert len(read_rows(tmp_path / "results.jsonl")) == 3


def test_a_split_that_the_release_has_no_targets_for_is_refused_before_anything_is_loaded(tmp_path):
    config = totto.get_config()
    config.task.data_dir, config.task.split = str(tmp_path), "test"
    with pytest.raises(InputError, match="config.task.split='test': of task 'totto' only train, dev can be evaluated"):
        experiment.resolve(config)


def test_an_experiment_from_python_gives_the_results_of_its_runs_in_their_order(finished, lm_folder, cache):
    config = config_for(lm_folder, cache)
    results = ipt_jax.run(config, finished)
    assert [result["name"] for result in results][:3] == list(config.runs)[:3]
    assert {result["run"] for result in results} == {row["run"] for row in read_rows(finished / "results.jsonl")}
    assert all(result == read_json(finished / "runs" / result["run"] / "result.json") for result in results)
