"""Experiments whose rows are turns of a chat, and whose prompts stand behind the BOS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chat_templates import chat_folder
from small_config import config_for
from tolerances import LOSS, close
from training_batches import batch_of

import ipt_jax
from ipt_jax.adapters.files import load_prompt
from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.training.losses import member_losses
from ipt_jax.workdir.json_files import read_rows

HEAD = "<|start_header_id|>{}<|end_header_id|>\n\n"


def padded(rows):
    """Rows of tokens as `batch_of` takes them."""
    width = max(map(len, rows))
    tokens = np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)
    return {"tokens": tokens, "lengths": np.array(list(map(len, rows)))}


def texts_of(predicted):
    return [row["input"].rpartition(HEAD.format("user"))[2].partition("<|eot_id|>")[0] for row in predicted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return chat_folder(tmp_path_factory.mktemp("chat") / "lm")


@pytest.fixture(scope="module")
def config(folder, cache):
    config = config_for(folder, cache, "zero_shot", "ipt")
    config.layout.chat, config.layout.system = True, "Be brief."
    config.layout.prompt_place, config.layout.retriever = "behind_bos", "bm25"
    config.runs.ipt.seed, config.training.steps = (0,), 4
    return config


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("chatted")
    results = ipt_jax.run(config, workdir)
    return workdir, {result["name"]: result for result in results}


def test_a_method_says_that_it_is_a_chat(finished):
    _, results = finished
    methods = {name: result["method"] for name, result in results.items()}
    assert methods == {"zero_shot": "zero-shot, chat", "ipt": "IPT, chat"}
    assert results["ipt"]["layout"]["system"] == "Be brief."


def test_a_prediction_tells_the_turns_that_the_model_saw(finished):
    workdir, results = finished
    for row in read_rows(workdir / "runs" / results["ipt"]["run"] / "predictions.jsonl"):
        assert row["input"].count(HEAD.format("user")) == 2
        assert row["input"].startswith(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        )
        assert row["input"].endswith(HEAD.format("assistant"))


def test_a_finished_chat_goes_on_with_other_inputs(finished):
    workdir, results = finished
    run = ipt_jax.load_run(workdir / "runs" / results["ipt"]["run"])
    predicted = read_rows(workdir / "runs" / results["ipt"]["run"] / "predictions.jsonl")
    texts = texts_of(predicted)
    assert [answer.text.strip() for answer in run.predict(texts)] == [row["prediction"] for row in predicted]
    assert "the model's chat template" in run.describe()


def test_a_prompt_behind_the_bos_is_what_tokens_in_its_place_would_be(folder, config, tmp_path):
    """Rows that are the embeddings of tokens, decoded, and learned, as those tokens behind the BOS are."""
    lm = loading.load(str(folder))
    tokens = lm.tokenizer.encode("Put: ")
    rows = lm.decoder.embed(lm.params, np.array(tokens))
    np.save(tmp_path / "rows.npy", np.asarray(rows))
    config = config.copy_and_resolve_references()
    config.training.steps, config.layout.demonstrations = 0, 0
    prompt = {"initialisation": "file", "source": str(tmp_path / "rows.npy")}
    config.runs = {"given": {"layout": {"prompt_tokens": len(tokens)}, "prompt": prompt}}
    (result,) = ipt_jax.run(config, tmp_path / "work")
    own = tmp_path / "work" / "runs" / result["run"]
    run, predicted = ipt_jax.load_run(own), read_rows(own / "predictions.jsonl")
    texts = texts_of(predicted)
    laid_out = run.rows([row["id"] for row in predicted], texts)
    bos = lm.tokenizer.bos_id
    plain = ipt_jax.load_lm(str(folder)).generate(
        [[bos, *tokens, *row.tokens] for row in laid_out], max_new_tokens=8, stop=("\n",)
    )
    assert [answer.text.strip() for answer in plain] == [row["prediction"] for row in predicted]
    batch = batch_of(padded([row.tokens for row in laid_out[:2]]))
    whole = batch_of(padded([(bos, *tokens, *row.tokens) for row in laid_out[:2]]))
    ours, _ = member_losses(lm.decoder, lm.params, run.injected, batch)
    wanted, _ = member_losses(lm.decoder, lm.params, jnp.zeros((1, 0, rows.shape[1])), whole)
    close(ours, wanted, LOSS)


def test_a_prompt_behind_the_bos_is_trained_there(finished, config, tmp_path):
    """Elsewhere it would have become another one."""
    workdir, results = finished
    config = config.copy_and_resolve_references()
    config.layout.prompt_place = "first"
    first = {result["name"]: result for result in ipt_jax.run(config, tmp_path)}
    own, other = (load_prompt(path / "runs" / r["ipt"]["run"]) for path, r in ((workdir, results), (tmp_path, first)))
    assert results["zero_shot"]["run"] == first["zero_shot"]["run"]  # without a prompt its place does not matter
    assert not jax.numpy.array_equal(own, other)


def test_a_model_without_a_template_cannot_chat(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "zero_shot")
    config.layout.chat = True
    with pytest.raises(InputError, match=r"config\.layout\.chat: the model's files have no chat template"):
        ipt_jax.run(config, tmp_path)


def test_a_prompt_cannot_stand_behind_a_bos_that_is_not_there(lm_folder, cache, tmp_path):
    config = config_for(lm_folder, cache, "pt")
    config.layout.prompt_place = "behind_bos"
    with pytest.raises(InputError, match=r"begins with no BOS .* config\.layout\.prompt_place='first'"):
        ipt_jax.run(config, tmp_path)
