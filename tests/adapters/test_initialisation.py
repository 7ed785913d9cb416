"""Where a prompt starts: every initialiser by name, by seed, and as rows of the model's own embedding table."""

import numpy as np
import pytest
from ml_collections import ConfigDict
from tiny import tiny_lm
from tolerances import ELEMENTARY, close

from ipt_jax.adapters.files import save_prompt
from ipt_jax.adapters.initialisation import INITIALISATIONS, initial_rows, most_common_words, sampled_vocabulary_ids
from ipt_jax.configs import common
from ipt_jax.errors import InputError

EXAMPLES = [{"input": f"the {i}", "target": word} for i, word in enumerate(["yes", "no", "yes, sir", "maybe"])]


@pytest.fixture(scope="module")
def lm():
    return tiny_lm()


def start(lm, initialisation, rows=5, seed=0, examples=lambda: EXAMPLES, **prompt):
    config = common.get_config()
    config.seed, config.layout.prompt_tokens = seed, rows
    config.prompt.update(ConfigDict({"initialisation": initialisation, **prompt}))
    return initial_rows(lm, config, examples)


def embedded(lm, text):
    return np.asarray(lm.decoder.embed(lm.params, np.asarray(lm.tokenizer.continuation.encode(text))))


def never():
    raise AssertionError("the examples were read")


def test_sampled_vocabulary_takes_distinct_ordinary_ids_by_seed(lm):
    ordinary = np.arange(10, 60)
    ids = sampled_vocabulary_ids(ordinary, 20, seed=0)
    assert len(set(ids.tolist())) == 20 and set(ids.tolist()) <= set(ordinary.tolist())
    assert (ids == sampled_vocabulary_ids(ordinary, 20, seed=0)).all()
    assert (ids != sampled_vocabulary_ids(ordinary, 20, seed=1)).any()
    assert len(sampled_vocabulary_ids(ordinary, 70, seed=0)) == 70
    drawn = sampled_vocabulary_ids(lm.tokenizer.ordinary_ids(), 5, seed=0)
    assert (start(lm, "sampled_vocabulary", examples=never) == lm.decoder.embed(lm.params, drawn)).all()


@pytest.mark.parametrize("kind", ["random_normal", "random_uniform"])
def test_random_rows_are_as_wide_as_the_embeddings_and_belong_to_a_seed(lm, kind):
    rows = start(lm, kind, rows=200, examples=never)
    spread = np.asarray(lm.decoder.embed(lm.params, lm.tokenizer.ordinary_ids())).std()
    assert rows.std() == pytest.approx(spread, rel=0.05) and abs(rows.mean()) < 0.1 * spread
    assert (rows == start(lm, kind, rows=200)).all() and (rows != start(lm, kind, rows=200, seed=1)).any()
    if kind == "random_uniform":
        assert np.abs(rows).max() <= spread * 3**0.5 * (1 + ELEMENTARY.limit)


def test_a_text_is_repeated_or_cut_to_the_rows(lm):
    words = np.asarray(lm.decoder.embed(lm.params, np.asarray(lm.tokenizer.encode("abc"))))
    assert (start(lm, "text", rows=5, text="abc", examples=never) == words[[0, 1, 2, 0, 1]]).all()
    assert (start(lm, "text", rows=2, text="abc", examples=never) == words[:2]).all()
    with pytest.raises(InputError, match=r"prompt\.text is empty"):
        start(lm, "text", text="")


def test_label_words_are_the_most_common_words_of_the_targets_each_a_mean_over_its_tokens(lm):
    assert most_common_words((e["target"] for e in EXAMPLES), 9) == ["yes", "no", "sir", "maybe"]
    rows = start(lm, "label_words", rows=3)
    for row, word in zip(rows, ("yes", "no", "sir"), strict=True):
        close(row, embedded(lm, f" {word}").mean(axis=0), ELEMENTARY)


def test_given_label_words_need_no_examples(lm):
    rows = start(lm, "label_words", rows=3, text="good bad", examples=never)
    close(rows[1], embedded(lm, " bad").mean(axis=0), ELEMENTARY)
    assert (rows[2] == rows[0]).all()


def test_a_demonstration_is_a_training_example_drawn_by_seed_as_the_template_lays_it_out(lm):
    texts = [f"Input: {e['input']}\nOutput: {e['target']}\n" for e in EXAMPLES]
    drawn = set()
    for seed in range(6):
        rows = start(lm, "demonstration", rows=60, seed=seed)
        ids = [np.resize(lm.tokenizer.encode(text), 60) for text in texts]
        (place,) = [i for i, each in enumerate(ids) if (rows == lm.decoder.embed(lm.params, each)).all()]
        drawn.add(place)
    assert len(drawn) > 1


def test_a_prompt_of_another_shape_is_refused(lm, tmp_path):
    np.save(tmp_path / "p.npy", np.zeros((4, 32), np.float32))
    assert start(lm, "file", rows=4, source=str(tmp_path / "p.npy"), examples=never).shape == (4, 32)
    with pytest.raises(InputError, match=r"is \[4, 32\], the run wants \[5, 32\]"):
        start(lm, "file", rows=5, source=str(tmp_path / "p.npy"))


def test_a_prompt_of_another_model_is_refused_and_one_of_the_same_weights_in_another_type_is_not(lm, tmp_path):
    known = {"model": lm.name, "model_fingerprint": lm.fingerprint}
    save_prompt(tmp_path / "p.safetensors", np.ones((4, 32), np.float32), known)
    source = str(tmp_path / "p.safetensors")
    for same in (lm, tiny_lm(dtype="bfloat16")):
        assert (start(same, "file", rows=4, source=source) == 1).all()
    with pytest.raises(InputError, match="the prompt was trained on tiny llama"):
        start(tiny_lm(seed=1), "file", rows=4, source=source)


def test_an_unknown_initialisation_lists_the_choices(lm):
    with pytest.raises(InputError, match=f"'zeros' is unknown; there are {', '.join(sorted(INITIALISATIONS))}"):
        start(lm, "zeros")
