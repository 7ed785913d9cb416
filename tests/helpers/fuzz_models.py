"""Doors of weights: model folders, GGUF files, prompts and adapters, checkpoints, and a finished run's folder."""

import contextlib
import functools
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from fuzz_areas import Area
from fuzz_mutations import damage_a_file
from tiny import hf_config, hf_tensors, write_hf_folder

_SIZES = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
_SIZES |= {"num_key_value_heads": 1, "max_position_embeddings": 128}
_PROMPT = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)


def _write_folder(folder: Path) -> None:
    rope = {"rope_type": "linear", "factor": 2.0}
    write_hf_folder(folder, "llama", rope_scaling=rope, bos_token_id=0, **_SIZES)
    (folder / "generation_config.json").write_text('{"eos_token_id": [0], "bos_token_id": 0}')


def _write_shards(folder: Path) -> None:
    """Two files and their index, with a head of their own that the config denies."""
    from safetensors.numpy import save_file

    write_hf_folder(folder, "llama", tie_word_embeddings=True, **_SIZES)
    config = hf_config("llama", tie_word_embeddings=False, **_SIZES)
    tensors, where = hf_tensors(config), {}
    for number in range(2):
        part = dict(sorted(tensors.items())[number::2])
        where |= dict.fromkeys(part, f"model-{number}.safetensors")
        save_file(part, folder / f"model-{number}.safetensors", {"format": "pt"})
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def _write_vocabulary_files(folder: Path) -> None:
    """A folder from before tokenizer.json."""
    write_hf_folder(folder, "gpt2", n_embd=8, n_layer=1, n_head=2, n_positions=32)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    settings = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"unk_token": "<|endoftext|>"}))


def _write_chat(folder: Path) -> None:
    """Only a tokenizer with its template: in settings, and in a file that goes before."""
    from chat_templates import TEMPLATES, put_template
    from tokenizer_families import family

    put_template(family("llama3").write(folder), TEMPLATES["llama3"])
    (folder / "chat_template.jinja").write_text(TEMPLATES["llama3"])


def _lay_out_chat(folder: Path) -> None:
    from ipt_jax.models.tokenizer import from_folder
    from ipt_jax.rows.chat import Chat
    from ipt_jax.rows.layout import Demonstration, Item, Layout, encode

    tokenizer = from_folder(folder)
    if tokenizer.chat is None:
        return
    chat = Chat(tokenizer.chat, "Be brief.")
    ends = chat.ends(tokenizer, True)
    shown = [Demonstration("t:0", "one <|eot_id|>", "two")]
    encode(Layout(template=chat), tokenizer, Item("x", "in", "out"), shown, budget=10_000, ends=ends)


def _load(source: Path) -> None:
    """A model is loaded whole: finite weights, and a tokenizer whose ids it has."""
    import jax

    from ipt_jax.models import loading

    lm = loading.load(str(source))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(lm.params))
    rows = lm.decoder.config.vocab_size
    for text in ("Input: the thing\n", "é\u2028"):
        ids = lm.tokenizer.encode_input(text)
        assert all(0 <= id < rows for id in [*ids, *lm.tokenizer.eos_ids])
        lm.tokenizer.decode(ids), lm.tokenizer.continuation.encode(text)
    assert len(lm.tokenizer.pieces_containing("\n")) <= len(lm.tokenizer.ordinary_ids()) <= rows


def _write_gguf(folder: Path) -> None:
    from gguf_files import write_gguf

    config = hf_config("llama", **_SIZES)
    write_gguf(folder / "m.gguf", config, hf_tensors(config))


def _write_prompts(folder: Path) -> None:
    from ipt_jax.adapters.files import save_prompt

    save_prompt(folder / "prompt.safetensors", _PROMPT, {"model": "m"})
    np.save(folder / "prompt.npy", _PROMPT)


def _read_prompts(folder: Path) -> Any:
    _read_prompt(folder / "prompt.safetensors"), _read_prompt(folder / "prompt.npy")


def _read_prompt(path: Path) -> None:
    from ipt_jax.adapters.files import load_prompt

    prompt = load_prompt(path)
    assert prompt.ndim == 2 and prompt.size and prompt.dtype == np.float32 and np.isfinite(prompt).all()


def _write_adapter(folder: Path) -> None:
    from safetensors.numpy import save_file

    from ipt_jax.export import peft_config

    save_file({"prompt_embeddings": _PROMPT}, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(peft_config(_PROMPT.shape, "gpt2")))


def _state(step: int) -> dict[str, Any]:
    import jax.numpy as jnp

    best = jnp.asarray(_PROMPT)[None] + step
    return {"step": jnp.int32(step), "params": {"table": best * 2}, "best_prompt": best}


def _write_checkpoints(folder: Path) -> None:
    from ipt_jax.training.checkpoints import Checkpoints

    kept = Checkpoints(folder / "checkpoints")
    for step in (1, 2):
        kept.save(step, _state(step))
    kept.close()


def _read_checkpoints(folder: Path) -> None:
    """What training goes on from, and what predicts, is one of the two states that were saved: one is whole."""
    from ipt_jax.adapters.files import load_prompt
    from ipt_jax.training.checkpoints import Checkpoints

    best = load_prompt(folder / "checkpoints")
    assert any(np.array_equal(best, _state(step)["best_prompt"][0]) for step in (1, 2)), "another prompt"
    kept = Checkpoints(folder / "checkpoints")
    found = kept.restore(_state(0))
    saved = _state(int(found["step"]))
    assert int(found["step"]) in (1, 2) and np.array_equal(found["best_prompt"], saved["best_prompt"])
    assert np.array_equal(found["params"]["table"], saved["params"]["table"])
    kept.save(3, _state(3))  # and training can go on to save
    kept.close()


def write_finished_run(folder: Path) -> None:
    """What an experiment leaves of a run that predicts with a prompt and a demonstration, and the files of its task."""
    from ml_collections import FrozenConfigDict

    from ipt_jax.adapters.files import save_prompt
    from ipt_jax.configs import common
    from ipt_jax.experiment.experiment import resolve
    from ipt_jax.models import loading
    from ipt_jax.workdir.json_files import append_rows, write_json
    from ipt_jax.workdir.run_folder import RunFolder

    write_hf_folder(folder / "lm", "llama", **_SIZES)
    for split in ("train", "dev", "test"):
        rows = [{"id": n, "input": f"{split} {n} a", "target": f"out {n}"} for n in range(3)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = common.get_config()
    config.task.name, config.task.data_dir, config.model.source = "jsonl", str(folder), str(folder / "lm")
    config.layout.prompt_tokens, config.layout.demonstrations, config.layout.retriever = 2, 1, "bm25"
    config.decoding.max_new_tokens = 2
    (run,) = resolve(config)
    assert isinstance(run.settings, FrozenConfigDict)
    home, lm = RunFolder(folder / "work", run.id), loading.load(str(folder / "lm"))
    home.path.mkdir(parents=True)
    told = {"name": run.name, "method": run.method, "data_dir": str(folder)}
    write_json(home.run_json, {**told, "model_fingerprint": lm.fingerprint, **run.identity()})
    save_prompt(home.prompt, _PROMPT, {"model": lm.name, "model_fingerprint": lm.fingerprint})
    append_rows(home.predictions, [{"id": "0", "prediction": "out 0"}])
    write_json(folder / "work" / "config.json", config.to_dict())


def _continue_run(folder: Path) -> None:
    """The run's folder lays other inputs out."""
    _loaded_run(folder).rows(["0"], ["test 0 a"])


def _predict_by_run(folder: Path) -> None:
    (answer,) = _loaded_run(folder).predict(["test 0 a"])
    assert isinstance(answer.text, str)


def _loaded_run(folder: Path) -> Any:
    from ipt_jax.errors import InputError
    from ipt_jax.experiment.finished_run import load_run

    runs = list((folder / "work" / "runs").iterdir()) if (folder / "work" / "runs").is_dir() else []
    if not runs:
        raise InputError("no run")
    run = load_run(runs[0], model=str(folder / "lm"), data_dir=str(folder))
    assert run.prompt.shape[0] == run.settings.layout.prompt_tokens
    run.describe()
    return run


def _run_experiment(folder: Path) -> None:
    """In the folder, as its run's id holds where the model lies."""
    from ipt_jax.configs import common
    from ipt_jax.experiment import experiment

    config = common.get_config()
    config.task.name, config.task.data_dir, config.model.source = "jsonl", ".", "lm"
    config.layout.prompt_tokens, config.layout.demonstrations, config.layout.retriever = 2, 1, "bm25"
    config.training.steps, config.training.batch_size, config.prompt.hidden = 3, 2, 4
    config.execution.checkpoint_every = 1
    config.decoding.max_new_tokens, config.execution.cache_dir = 2, "cache"
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        experiment.run(config, "work")


def _write_inputs(folder: Path) -> None:
    write_hf_folder(folder / "lm", "llama", **_SIZES)
    for split in ("train", "dev", "test"):
        rows = [{"id": n, "input": f"{split} {n} a", "target": f"out {n}"} for n in range(3)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_experiment(folder: Path) -> None:
    """An experiment that was stopped before it wrote its result."""
    _write_inputs(folder)
    _run_experiment(folder)
    for result in [*folder.glob("work/runs/*/result.json"), folder / "work" / "results.jsonl"]:
        result.unlink()
    shutil.rmtree(folder / "cache" / "xla", ignore_errors=True)  # jax reads and checks these


def _write_population(folder: Path) -> None:
    """An experiment that was stopped by a full disk when it had saved its prompts' second step."""
    from ipt_jax.errors import InputError
    from ipt_jax.training.checkpoints import Checkpoints

    save = Checkpoints.save

    def fill(self: Checkpoints, step: int, state: Any) -> None:
        if step == 3:
            raise InputError("the disk is full")
        save(self, step, state)

    _write_inputs(folder)
    with mock.patch.object(Checkpoints, "save", fill), contextlib.suppress(InputError):
        _run_experiment(folder)
    shutil.rmtree(folder / "cache" / "xla", ignore_errors=True)


@functools.cache
def _trained_at_once() -> tuple[str, bytes]:
    """The run of the small experiment that nothing stopped, and its prompt."""
    from ipt_jax.adapters.files import load_prompt

    with tempfile.TemporaryDirectory() as folder:
        _write_inputs(Path(folder))
        _run_experiment(Path(folder))
        (run,) = (Path(folder) / "work" / "runs").iterdir()
        return run.name, load_prompt(run).tobytes()


def _train_on(folder: Path) -> None:
    """The same prompt comes out, whatever of the half-trained population was damaged; or what is wrong is said."""
    from ipt_jax.adapters.files import load_prompt

    _go_on(folder)
    run, prompt = _trained_at_once()
    assert load_prompt(folder / "work" / "runs" / run).tobytes() == prompt, "another prompt"


def _go_on(folder: Path) -> None:
    """It goes on, or says what is wrong."""
    from ipt_jax.workdir.json_files import read_rows

    _run_experiment(folder)
    assert read_rows(folder / "work" / "results.jsonl")


AREAS: dict[str, Area] = {
    "model folder": Area(_write_folder, _load),
    "model shards": Area(_write_shards, _load),
    "model vocabulary files": Area(_write_vocabulary_files, _load),
    "chat template": Area(_write_chat, _lay_out_chat),
    "model gguf": Area(_write_gguf, lambda folder: _load(folder / "m.gguf")),
    "prompts": Area(_write_prompts, _read_prompts),
    "adapter": Area(_write_adapter, _read_prompt),
    "checkpoints": Area(_write_checkpoints, _read_checkpoints),
    "finished run": Area(write_finished_run, _continue_run),
    "finished run predicts": Area(write_finished_run, _predict_by_run),
    "experiment goes on": Area(_write_experiment, _go_on),
    "half-trained population": Area(
        _write_population, _train_on, damage=lambda rng, folder: damage_a_file(rng, folder / "work")
    ),
}
