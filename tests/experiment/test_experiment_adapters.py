"""Adapters that are no soft prompt, from a config to the report: trained, resumed, decoded, moved to other data."""

import shutil

import numpy as np
import pytest
from commands import call
from small_config import config_for
from tolerances import LOGITS, TRAINING, close

import ipt_jax
from ipt_jax.adapters.trained import TrainedAdapter, load_adapter
from ipt_jax.errors import InputError
from ipt_jax.experiment import experiment
from ipt_jax.experiment.finished_run import load_run
from ipt_jax.runtime import preemption
from ipt_jax.tasks import get_task
from ipt_jax.training import checkpoints
from ipt_jax.workdir.json_files import read_json, read_rows

ARRAYS = {
    "prefix": {"keys", "values"},
    "lora": {f"{place}.{part}" for place in ("key", "up") for part in ("down", "up")},
}


def config_of(lm_folder, cache, seeds=(0, 1), only=()):
    config = config_for(lm_folder, cache)
    config.adapter.targets, config.adapter.rank = "key,up", 2
    prefix, lora, shown = {"kind": "prefix"}, {"kind": "lora"}, {"demonstrations": 1}
    runs = {
        "prefix": {"adapter": prefix, "layout": {"prompt_tokens": 3}, "seed": seeds},
        "prefix_shown": {"adapter": prefix, "layout": {"prompt_tokens": 3, **shown}, "seed": seeds},
        "lora": {"adapter": lora, "seed": seeds, "training": {"learning_rate": 0.02}},
        "lora_shown": {"adapter": lora, "layout": shown, "seed": seeds},
        "pt": {"layout": {"prompt_tokens": 3}, "seed": seeds},
    }
    config.runs = {name: run for name, run in runs.items() if not only or name in only}
    return config


@pytest.fixture(scope="module")
def adapted(lm_folder, cache, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("adapted")
    experiment.run(config_of(lm_folder, cache), workdir)
    return workdir


def rows_of(workdir, method):
    found = [row for row in read_rows(workdir / "results.jsonl") if row["method"] == method]
    return sorted(found, key=lambda row: row["seed"])


def test_every_kind_leaves_its_adapter_its_row_and_its_place_in_the_report(adapted, lm_folder):
    lm = ipt_jax.load_lm(lm_folder)
    for method, kind in [("prefix tuning", "prefix"), ("LoRA", "lora"), ("LoRA, retrieved one-shot", "lora")]:
        rows = rows_of(adapted, method)
        assert [row["seed"] for row in rows] == [0, 1]
        for row in rows:
            folder = adapted / "runs" / row["run"]
            adapter = load_adapter(folder)
            assert row["adapter"] == adapter.kind == kind and set(adapter.arrays) == ARRAYS[kind]
            assert row["training"]["bytes"] == 4 * adapter.numbers and row["training"]["prompt_moved"] > 0
            assert row["training"]["nearest_words"] is None and row["training"]["best_step"] > 0
            assert not (folder / "prompt.safetensors").exists()
            losses = [r["dev_loss"] for r in read_rows(folder / "metrics.jsonl") if "dev_loss" in r]
            assert min(losses) < losses[0]
            kept = load_adapter(folder / "checkpoints")
            assert (
                kept.digest() == adapter.digest()
                and kept.fingerprint == adapter.fingerprint == row["model_fingerprint"]
            )
            assert lm.generate(["Input: a"], adapter, max_new_tokens=2) and lm.score(["a"], ["b"], adapter)
    trained = {row["method"]: row["training"]["numbers"] for row in read_rows(adapted / "results.jsonl")}
    layers, wide, inner = lm.config.num_layers, lm.config.hidden_dim, lm.config.mlp_dim
    assert trained["LoRA"] == 2 * layers * (2 * wide + wide + inner)  # rank 2: key is square, up is not
    page = (adapted / "report" / "index.html").read_text()
    assert "Kinds of adapter" in page and "prefix tuning, retrieved one-shot" in page


def test_a_result_decodes_as_the_trained_adapter_does_by_itself(adapted):
    for method in ("prefix tuning, retrieved one-shot", "LoRA", "LoRA, retrieved one-shot"):
        for row in rows_of(adapted, method):
            folder = adapted / "runs" / row["run"]
            predicted = {p["id"]: p for p in read_rows(folder / "predictions.jsonl")}
            texts = {e.id: e.input for e in get_task("sample").read("test") if e.id in predicted}
            run = load_run(folder)
            assert isinstance(run.prompt, TrainedAdapter) and run.prompt.kind in ("prefix", "lora")
            answers = [answer.text.strip() for answer in run.predict(list(texts.values()))]
            assert answers == [predicted[id]["prediction"] for id in texts]


@pytest.mark.parametrize("name", ["prefix", "lora"])
def test_a_member_equals_its_run_alone(adapted, lm_folder, cache, tmp_path, name):
    experiment.run(config_of(lm_folder, cache, seeds=(1,), only=[name]), tmp_path)
    (alone,) = read_rows(tmp_path / "results.jsonl")
    among = load_adapter(adapted / "runs" / alone["run"])
    for part, array in load_adapter(tmp_path / "runs" / alone["run"]).arrays.items():
        close(array, among.arrays[part], TRAINING)


@pytest.mark.parametrize("name", ["prefix_shown", "lora"])
def test_what_stops_in_the_middle_goes_on_to_the_same_bits(adapted, lm_folder, cache, tmp_path, monkeypatch, name):
    save = checkpoints.Checkpoints.save

    def die(self, step, state):
        save(self, step, state)
        if step == 8:
            raise preemption.Preempted(15)

    config = config_of(lm_folder, cache, only=[name])
    monkeypatch.setattr(checkpoints.Checkpoints, "save", die)
    with pytest.raises(preemption.Preempted):
        experiment.run(config, tmp_path)
    assert not list(tmp_path.glob("runs/*/adapter.safetensors"))
    monkeypatch.setattr(checkpoints.Checkpoints, "save", save)
    experiment.run(config, tmp_path)
    for row in read_rows(tmp_path / "results.jsonl"):
        one, other = (folder / "runs" / row["run"] / "adapter.safetensors" for folder in (adapted, tmp_path))
        assert one.read_bytes() == other.read_bytes()


def test_an_adapter_of_another_run_or_file_is_used_as_it_is(adapted, lm_folder, cache, tmp_path):
    shutil.copytree(adapted, tmp_path / "w")
    config = config_of(lm_folder, cache, only=["lora", "prefix"])
    for name in ("prefix", "lora"):
        config.runs[f"{name}_moved"] = {
            **config.runs[name].to_dict(),
            "layout": {**config.runs[name].to_dict().get("layout", {}), "demonstrations": 1},
            "prompt": {"initialisation": "file", "source": f"run:{name}"},
            "training": {"steps": 0},
        }
    experiment.run(config, tmp_path / "w")
    rows = read_rows(tmp_path / "w" / "results.jsonl")
    moved = [row for row in rows if row["prompt_source"]]
    assert {row["method"] for row in moved} == {
        "transfer of prefix tuning, retrieved one-shot",
        "transfer of LoRA, retrieved one-shot",
    }
    row = next(row for row in moved if row["adapter"] == "lora" and row["seed"] == 1)
    source = adapted / "runs" / row["prompt_source"]["run"] / "adapter.safetensors"
    config.runs = {"other": config.runs.lora_moved.to_dict()}
    config.runs.other.prompt.source, config.runs.other.seed = str(source), (1,)
    experiment.run(config, tmp_path / "file")
    (alone,) = read_rows(tmp_path / "file" / "results.jsonl")
    ours, theirs = (
        {p["id"]: p["prediction"] for p in read_rows(folder / "runs" / run["run"] / "predictions.jsonl")}
        for folder, run in ((tmp_path / "w", row), (tmp_path / "file", alone))
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"targets": "query,keys"}, "'keys' is no linear map of this model; it has query, key"),
        ({"rank": 0}, "config.adapter.rank=0 must be at least 1"),
        ({"rank": 33}, "config.adapter.rank=33 is more than a map between 32"),
        ({"alpha": -1.0}, "config.adapter.alpha=-1.0 must be positive"),
        ({"targets": "up,up"}, "must name linear maps, each once"),
        ({"kind": "ia4"}, "config.adapter.kind='ia4' is unknown; choose one of prompt, prefix, lora"),
    ],
)
def test_a_setting_that_no_adapter_of_this_model_can_have_is_refused_by_name(
    lm_folder, cache, tmp_path, change, complaint
):
    config = config_of(lm_folder, cache, only=["lora"])
    for name, value in change.items():
        config.runs.lora.adapter[name] = value
    with pytest.raises(InputError, match=complaint):
        experiment.run(config, tmp_path)


def test_rows_of_a_prompt_with_a_lora_and_a_prefix_that_fills_the_model_are_refused(lm_folder, cache, tmp_path):
    config = config_of(lm_folder, cache, only=["lora"])
    config.runs.lora.layout = {"prompt_tokens": 3}
    with pytest.raises(InputError, match="layout.prompt_tokens=3 must be 0 with adapter.kind='lora'"):
        experiment.run(config, tmp_path)
    config = config_of(lm_folder, cache, only=["prefix"])
    config.runs.prefix.layout.prompt_tokens = 5000
    with pytest.raises(InputError, match="prompt_tokens=5000 leaves none of the model's"):
        experiment.run(config, tmp_path)


def test_an_adapter_of_another_model_or_kind_or_with_a_flipped_bit_is_refused(adapted, tmp_path):
    from tiny import tiny_lm

    from ipt_jax.language_model import LanguageModel

    folder = adapted / "runs" / rows_of(adapted, "LoRA")[0]["run"]
    with pytest.raises(InputError, match="the adapter was trained on .*, not on"):
        LanguageModel(tiny_lm()).generate([[1]], load_adapter(folder))
    with pytest.raises(InputError, match="does not fit"):
        LanguageModel(tiny_lm()).generate([[1]], TrainedAdapter("lora", {"query.down": np.ones((1, 2, 3), np.float32)}))
    content = bytearray((folder / "adapter.safetensors").read_bytes())
    content[-10] ^= 1
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="damaged: its content is not what was written"):
        load_adapter(tmp_path / "a.safetensors")


def test_a_lora_without_steps_and_source_is_no_adapter_and_shares_the_id_of_a_run_without(lm_folder, cache, tmp_path):
    config = config_of(lm_folder, cache, only=["lora"])
    config.runs.lora = {"adapter": {"kind": "lora"}, "training": {"steps": 0}}
    config.runs.plain = {}
    experiment.run(config, tmp_path)
    (row,) = read_rows(tmp_path / "results.jsonl")
    assert (row["method"], row["adapter"]) == ("zero-shot", None)
    assert "adapter" not in read_json(tmp_path / "runs" / row["run"] / "run.json")


@pytest.mark.parametrize("method", ["LoRA", "prefix tuning", "PT"])
def test_an_exported_folder_of_peft_is_continued_as_the_run_itself(adapted, lm_folder, tmp_path, method):
    folder = adapted / "runs" / rows_of(adapted, method)[1]["run"]
    done = call("ipt_jax.export", f"--prompt={folder}", "--format=peft", f"--output={tmp_path / 'a'}")
    assert done.returncode == 0, done.stderr
    settings = read_json(tmp_path / "a" / "adapter_config.json")
    assert settings["base_model_name_or_path"] == str(lm_folder)
    assert f"base_model: '{lm_folder}'" in (tmp_path / "a" / "README.md").read_text()
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": "{i}", "input": "Input: {i}\\nOutput:"}}\n' for i in range(4)))
    answers = []
    for prompt in (tmp_path / "a", folder):
        flags = [f"--model={lm_folder}", f"--prompt={prompt}", "--raw", "--max_new_tokens=5"]
        output = tmp_path / f"{prompt.name}.jsonl"
        done = call("ipt_jax.predict", *flags, f"--input={tmp_path / 'in.jsonl'}", f"--output={output}")
        assert done.returncode == 0, done.stderr
        answers.append([(row["id"], row["prediction"]) for row in read_rows(output)])
    assert sorted(answers[0]) == sorted(answers[1]) and len(answers[0]) == 4


def test_a_lora_that_is_merged_into_the_weights_is_a_model_that_answers_as_the_run_did(adapted, lm_folder, tmp_path):
    folder = adapted / "runs" / rows_of(adapted, "LoRA")[1]["run"]
    done = call("ipt_jax.export", f"--prompt={folder}", "--format=merged", f"--output={tmp_path / 'whole'}")
    assert done.returncode == 0, done.stderr
    whole, base = ipt_jax.load_lm(tmp_path / "whole"), ipt_jax.load_lm(lm_folder)
    adapter = load_adapter(folder)
    tokens = np.array([whole.tokenizer.encode("Input: a\nOutput: b")])
    lengths = np.full(1, tokens.shape[1])
    ours = base.logits(tokens, lengths, adapter)
    close(whole.logits(tokens, lengths), ours, LOGITS)
    assert np.abs(np.asarray(base.logits(tokens, lengths)) - np.asarray(ours)).max() > 1e-3
    prefix = adapted / "runs" / rows_of(adapted, "prefix tuning")[0]["run"]
    done = call("ipt_jax.export", f"--prompt={prefix}", "--format=merged", f"--output={tmp_path / 'none'}")
    assert done.returncode == 2 and "a prefix is no change of weights" in done.stderr


def test_an_export_says_what_a_format_cannot_hold(adapted, tmp_path):
    folder = adapted / "runs" / rows_of(adapted, "LoRA")[0]["run"]
    done = call("ipt_jax.export", f"--prompt={folder}", "--format=npy", f"--output={tmp_path / 'a.npy'}")
    assert done.returncode == 2 and "is no array, but lora; choose safetensors or peft" in done.stderr
    kept = tmp_path / "a.safetensors"
    done = call("ipt_jax.export", f"--prompt={folder}", "--format=safetensors", f"--output={kept}")
    assert done.returncode == 0 and load_adapter(kept).digest() == load_adapter(folder).digest()
    done = call("ipt_jax.export", f"--prompt={kept}", "--format=peft", f"--output={tmp_path / 'b'}")
    assert done.returncode == 2 and "--base_model must be given" in done.stderr
