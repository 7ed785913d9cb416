"""The Python API as the README shows it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_lm, write_hf_folder
from tolerances import LOGITS, close

import ipt_jax
from ipt_jax.errors import InputError
from ipt_jax.language_model import LanguageModel

PROMPT = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def lm():
    return LanguageModel(tiny_lm())


def test_the_public_names_are_there_and_nothing_else():
    assert {name: getattr(ipt_jax, name).__name__ for name in ipt_jax.__all__} == {n: n for n in ipt_jax.__all__}
    with pytest.raises(AttributeError, match="no attribute 'load_ml'"):
        _ = ipt_jax.load_ml


def test_a_folder_loads_generates_and_scores(tmp_path):
    lm = ipt_jax.load_lm(str(write_hf_folder(tmp_path)))
    tokens = lm.tokenizer.encode("Input: a\nOutput:")
    (generated,) = lm.generate([tokens], max_new_tokens=5)
    assert generated.stop in ("eos", "stop_text", "length") and 1 <= len(generated.tokens) <= 5
    logits = lm.logits(np.array([tokens]), np.array([len(tokens)]))
    assert logits.shape == (1, len(tokens), lm.config.vocab_size) and logits.dtype == np.float32
    assert int(logits[0, -1].argmax()) == generated.tokens[0]


def test_logits_are_those_of_the_row_alone_and_zero_past_its_length(lm):
    tokens = np.array([[5, 6, 7, 0, 0], [8, 9, 10, 11, 12]])
    logits = np.asarray(lm.logits(tokens, np.array([3, 5]), PROMPT))
    alone = np.asarray(lm.logits(tokens[:1, :3], np.array([3]), PROMPT))
    close(logits[0, :3], alone[0], LOGITS)
    assert (logits[0, 3:] == 0).all()


def test_generation_keeps_the_order_of_its_rows_and_uses_the_prompt(lm):
    rows = [[5] * 14, [6], [7] * 9]
    with_prompt = lm.generate(rows, PROMPT, max_new_tokens=4)
    assert [g.tokens for g in with_prompt] == [lm.generate([row], PROMPT, max_new_tokens=4)[0].tokens for row in rows]
    assert [g.tokens for g in with_prompt] != [g.tokens for g in lm.generate(rows, -PROMPT, max_new_tokens=4)]
    assert lm.generate([]) == []


def test_several_answers_of_a_row_come_with_its_first_one_best_first(lm):
    beams = lm.generate([[5, 6], [7]], PROMPT, max_new_tokens=4, num_beams=3, num_return_sequences=2)
    assert [len(answer.sequences) for answer in beams] == [2, 2]
    assert all(best.score >= other.score for best, other in (answer.sequences for answer in beams))
    alone = lm.generate([[5, 6], [7]], PROMPT, max_new_tokens=4, num_beams=3)
    assert [answer.tokens for answer in beams] == [g.tokens for g in alone]
    assert all(answer.sequences[0].tokens == answer.tokens for answer in beams) and not alone[0].sequences


def test_a_given_end_token_ends_a_row(lm):
    (free,) = lm.generate([[5]], max_new_tokens=5, stop=())
    (ended,) = lm.generate([[5]], max_new_tokens=5, stop=(), eos_token_id=free.tokens[1])
    assert ended.tokens == free.tokens[: free.tokens.index(free.tokens[1]) + 1] and ended.stop == "eos"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda lm: lm.generate([[1]], PROMPT[:, :5]), r"prompt has shape \[3, 5\].*needs \[rows, 32\]"),
        (lambda lm: lm.generate([[1, 9999]]), "token ids reach from 1 to 9999"),
        (lambda lm: lm.generate([[-1]]), "token ids reach from -1"),
        (lambda lm: lm.generate([[1]], num_beams=0), "num_beams=0 must be at least 1"),
        (lambda lm: lm.generate([[1]], early_stopping="late"), "early_stopping='late'"),
        (lambda lm: lm.generate([[1]], max_new_tokens=0), "max_new_tokens=0"),
        (lambda lm: lm.generate([[1]], eos_token_id=9999), "token ids reach from 9999"),
        (lambda lm: lm.generate([[1]], num_beam=2), "no argument 'num_beam'; did you mean 'num_beams'"),
        (lambda lm: lm.generate([[1] * 600]), "pass the model's 512 positions"),
        (lambda lm: lm.logits(np.ones((1, 600), int), np.array([600])), "pass the model's 512 positions"),
        (lambda lm: lm.logits(np.ones((2, 3), int), np.array([3])), r"must be \[B, T\] and \[B\]"),
        (lambda lm: lm.logits(np.ones((1, 3), int), np.array([4])), "lengths reach from 4"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_value(lm, call, message):
    with pytest.raises(InputError, match=message):
        call(lm)


def test_texts_are_rows_too(lm):
    text = "Input: a\nOutput:"
    ids = lm.tokenizer.encode_input(text)
    assert lm.generate([text], max_new_tokens=3) == lm.generate([ids], max_new_tokens=3)
    more = " b"
    assert lm.score([text], [more]) == lm.score([ids], [lm.tokenizer.continuation.encode(more)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda lm: lm.generate("a text"), "rows are a list of texts or of lists of token ids, not 'a text'"),
        (lambda lm: lm.generate(None), "rows are a list"),
        (lambda lm: lm.generate([["a"]]), "row 0 must be whole numbers"),
        (lambda lm: lm.generate([[1], [1.5]]), "row 1 must be whole numbers"),
        (lambda lm: lm.generate([[True]]), "row 0 must be whole numbers"),
        (lambda lm: lm.generate([5]), r"row 0 has shape \[\]"),
        (lambda lm: lm.generate([[10**30]]), "row 0 must be whole numbers"),
        (lambda lm: lm.generate([[1]], "x"), "the prompt is no array of numbers"),
        (lambda lm: lm.generate([[1]], stop="END"), "stop='END' must be a tuple of texts"),
        (lambda lm: lm.generate([[1]], stop=None), "stop=None must be a tuple of texts"),
        (lambda lm: lm.generate([[1]], stop=[3]), r"stop=\[3\] must be a tuple of texts"),
        (lambda lm: lm.generate([[1]], max_new_tokens="5"), "max_new_tokens='5' must be a whole number"),
        (lambda lm: lm.generate([[1]], temperature=float("nan")), "temperature=nan must be a finite number"),
        (lambda lm: lm.generate([[1]], do_sample="yes"), "do_sample='yes' must be True or False"),
        (lambda lm: lm.generate([[1]], eos_token_id="x"), "eos_token_id='x' must be token ids"),
        (lambda lm: lm.generate([[1]], batch_size=-1), "batch_size=-1"),
        (lambda lm: lm.score(["a"], ["b", "c"]), "1 rows and 2 continuations"),
        (lambda lm: lm.score(["a"], [[None]]), "row 0 must be whole numbers"),
        (lambda lm: lm.score(["a"], ["b"], batch_size=0), "batch_size=0"),
        (lambda lm: lm.logits(np.ones((1, 3)), np.array([3])), "tokens must be whole numbers"),
        (lambda lm: lm.logits([[1], [1, 2]], [1, 2]), "tokens: "),
        (lambda lm: lm.logits("ab", [1]), "tokens must be whole numbers"),
    ],
)
def test_an_argument_of_another_kind_is_refused_with_its_value(lm, call, message):
    with pytest.raises(InputError, match=message):
        call(lm)


def test_probabilities_that_are_not_finite_are_the_models_fault():
    whole = tiny_lm()
    lm = LanguageModel(dataclasses.replace(whole, params=jax.tree.map(lambda leaf: leaf * jnp.nan, whole.params)))
    for call in (lambda: lm.generate([[5, 6]], max_new_tokens=4), lambda: lm.score([[5]], [[6]])):
        with pytest.raises(InputError, match="row 0: the probabilities that tiny llama gives are not finite"):
            call()
