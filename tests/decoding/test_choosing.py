"""The most probable of some texts, against the log-probability of each by itself."""

import numpy as np
import pytest
from tiny import tiny_lm
from tolerances import LOG_PROBABILITY, close

from ipt_jax.decoding.choosing import CHOICE, choose, confidence
from ipt_jax.decoding.request import Request
from ipt_jax.errors import InputError
from ipt_jax.language_model import LanguageModel

ROWS = ("the put: ", "In the", "2026", "a longer row of the words: ")
CHOICES = (" yes\n", " no\n", " perhaps it is\n")


@pytest.fixture(scope="module")
def lm():
    return tiny_lm("llama")


@pytest.fixture(scope="module")
def prompts(lm):
    return np.random.default_rng(0).normal(size=(2, 3, lm.decoder.config.embed_dim)).astype(np.float32)


def chosen(lm, prompts, **settings):
    requests = [Request(lm.tokenizer.encode(row), k, f"{k} {row}") for k in (0, 1) for row in ROWS]
    offered = [[(text.strip(), lm.tokenizer.encode(text)) for text in CHOICES]] * len(requests)
    batches = choose(lm, prompts, requests, offered, **settings)
    return {request.id: answer for batch in batches for request, answer in batch}


def alone(lm, prompts, k, row):
    scored = LanguageModel(lm).score([row] * len(CHOICES), list(CHOICES), prompt=prompts[k])
    return {text.strip(): each for text, each in zip(CHOICES, scored, strict=True)}


@pytest.mark.parametrize("per_token", [False, True])
def test_the_answer_is_the_choice_with_the_highest_log_probability(lm, prompts, per_token):
    answers = chosen(lm, prompts, per_token=per_token)
    for k in (0, 1):
        for row in ROWS:
            answer, each = answers[f"{k} {row}"], alone(lm, prompts, k, row)
            score = {
                t: s.log_probability / (len(s.token_log_probabilities) if per_token else 1) for t, s in each.items()
            }
            assert answer.text == max(score, key=score.get)
            assert answer.stop == CHOICE
            close(answer.log_probability, each[answer.text].log_probability, LOG_PROBABILITY)
            found = {one.text: one.score for one in answer.sequences}
            for text, wanted in score.items():
                close(found[text], wanted, LOG_PROBABILITY)


def test_how_many_run_together_does_not_matter(lm, prompts):
    texts = [{id: answer.text for id, answer in chosen(lm, prompts, batch_size=size).items()} for size in (1, 5, 0)]
    assert texts[0] == texts[1] == texts[2]


def test_the_choices_probabilities_add_up_to_one(lm, prompts):
    for answer in chosen(lm, prompts).values():
        scores = np.array([each.score for each in answer.sequences])
        shares = np.exp(scores) / np.exp(scores).sum()
        assert confidence(answer) == pytest.approx(shares[0]) == pytest.approx(shares.max())


def test_choices_that_are_alike_keep_their_order(lm, prompts):
    request, same = Request(lm.tokenizer.encode("x")), lm.tokenizer.encode(" yes\n")
    ((_, answer),) = next(choose(lm, prompts, [request], [[("first", same), ("second", same)]]))
    assert (answer.text, confidence(answer)) == ("first", 0.5)


def test_a_choice_past_the_models_positions_is_refused(lm, prompts):
    request = Request([1] * (lm.decoder.config.max_positions - 5), name="the long row")
    with pytest.raises(InputError, match="the long row: 3 prompt rows"):
        list(choose(lm, prompts, [request], [[("a", [1, 2, 3]), ("b", [2])]]))
