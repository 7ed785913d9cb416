"""What a run's settings mean in other rooms."""

import numpy as np
import pytest
from small_config import config_for
from tiny import tiny_lm

from ipt_jax.adapters.injection import Injection
from ipt_jax.errors import InputError
from ipt_jax.experiment.experiment import resolve
from ipt_jax.experiment.of_run import injected, leading_bos, overlap_of, rows_of, start_of
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks import get_task


@pytest.fixture(scope="module")
def lm():
    return tiny_lm("gpt2", n_positions=1024)


@pytest.fixture
def preparer(lm, cache):
    return Preparer(lm, get_task("sample"), cache)


def run_of(lm_folder, cache, name, **prompt):
    config = config_for(lm_folder, cache, name)
    config.prompt.update(prompt)
    config.layout.retriever = "bm25"
    return resolve(config)[0]


def test_rows_to_be_learned_have_their_target_and_those_to_be_continued_keep_room_for_it(lm_folder, cache, preparer):
    run = run_of(lm_folder, cache, "ipt")
    learned, asked = (rows_of(preparer, run, "test", with_target=each) for each in (True, False))
    for one, other in zip(learned.rows, asked.rows, strict=True):
        assert one.tokens[: one.source_length] == other.tokens
        assert len(one.demonstrations) == 1
    room = preparer.lm.decoder.config.max_positions - 3 - 8
    assert max(len(row.tokens) for row in asked.rows) <= room


def test_a_prompt_that_starts_from_words_has_the_rows_of_its_settings(lm_folder, cache, preparer):
    start = start_of(preparer, run_of(lm_folder, cache, "pt"), cache)
    assert start.shape == (3, 32)


def test_a_prompt_of_a_file_is_taken_as_it_is_and_one_of_other_rows_refused(lm_folder, cache, preparer, tmp_path):
    rows = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    np.save(tmp_path / "p.npy", rows)
    given = {"initialisation": "file", "source": str(tmp_path / "p.npy")}
    assert (start_of(preparer, run_of(lm_folder, cache, "pt", **given), tmp_path) == rows).all()
    np.save(tmp_path / "p.npy", rows[:2])
    with pytest.raises(InputError, match="2"):
        start_of(preparer, run_of(lm_folder, cache, "pt", **given), tmp_path)


def test_overlap_is_of_what_the_run_has_seen_and_of_nothing_where_it_saw_nothing(lm_folder, cache, preparer):
    assert overlap_of(preparer, run_of(lm_folder, cache, "zero_shot")) is None
    assert overlap_of(preparer, run_of(lm_folder, cache, "pt"))["examples"] == 10


def test_a_prompt_stands_first_unless_its_place_is_behind_the_bos(lm_folder, cache, lm):
    settings = run_of(lm_folder, cache, "pt").settings
    assert leading_bos(lm, settings) is None
    rows = Injection(np.zeros((2, 3, 32), np.float32))
    assert injected(lm, settings, rows) is rows
