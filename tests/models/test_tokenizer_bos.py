"""A language model whose tokenizer puts a BOS and a space before a text: what it is given, and what it writes."""

import dataclasses

import numpy as np
import pytest
import tiny
from tokenizer_families import family
from tolerances import LOG_PROBABILITY, close

from ipt_jax import predict
from ipt_jax.language_model import LanguageModel
from ipt_jax.models import tokenizer as module
from ipt_jax.workdir.json_files import append_rows, read_rows

TEXTS = {"a": "Input: the\nOutput:", "b": "put"}


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    """A random model that writes only " the" and " ": every other row of its head is zero."""
    tokenizer = module.from_folder(family("llama2").write(tmp_path_factory.mktemp("llama2")))
    config = tiny.hf_config("llama", vocab_size=tokenizer.vocab_size, tie_word_embeddings=False)
    tensors = tiny.hf_tensors(config)
    (the,), (space,) = (tokenizer.continuation.encode(text) for text in (" the", " "))
    head = np.zeros_like(tensors["lm_head.weight"])
    head[the] = tensors["lm_head.weight"][the]
    head[space] = -head[the]  # of a number and its negative one is above zero
    return dataclasses.replace(tiny.assemble(config, tensors | {"lm_head.weight": head}), tokenizer=tokenizer)


def test_predict_continues_an_input_after_its_bos(lm, tmp_path, monkeypatch):
    given = {"input": tmp_path / "in.jsonl", "output": tmp_path / "out.jsonl"}
    flags = {"model": "lm", "dtype": "float32", "max_new_tokens": 4, "stop": "never", "batch_size": 1} | given
    predict._FLAGS(["predict", *(f"--{name}={value}" for name, value in flags.items())])
    monkeypatch.setattr("ipt_jax.models.loading.load", lambda source, dtype: lm)
    append_rows(given["input"], [{"id": id, "input": text} for id, text in TEXTS.items()])
    predict.main([])
    written = {row["id"]: row["log_probability"] for row in read_rows(given["output"])}
    for id, text in TEXTS.items():
        framed, bare = (
            LanguageModel(lm).generate([ids], max_new_tokens=4, stop=("never",))[0].log_probability
            for ids in (lm.tokenizer.encode_input(text), lm.tokenizer.encode(text))
        )
        close(written[id], framed, LOG_PROBABILITY)
        assert framed != pytest.approx(bare, rel=1e-2)


@pytest.mark.parametrize("num_beams", [1, 2])
def test_generated_text_keeps_the_space_that_its_first_token_spells(lm, num_beams):
    row = lm.tokenizer.encode_input("Input: the\nOutput:")
    (generated,) = LanguageModel(lm).generate([row], max_new_tokens=4, num_beams=num_beams)
    assert generated.text.startswith(" ")
    source = lm.tokenizer.decode(row)
    assert source + generated.text == lm.tokenizer.decode([*row, *generated.tokens])
