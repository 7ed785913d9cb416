"""Greedy and beam search against what transformers' `generate` finds: tokens and scores of 200 rows of every case.

A few cases are run under a search or two. Every case under every search, 20 minutes on two cores:

    python -m pytest -m slow tests/test_generation_golden.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import one_batch
import pytest
from model_cases import load_case
from paths import GOLDEN
from search_settings import NEW_TOKENS, SEARCHES
from tolerances import WRITTEN_SCORE, close

from ipt_jax.decoding import stopping
from ipt_jax.decoding.settings import Search

CASES = sorted(path.parent.name for path in GOLDEN.glob("*/generated.npz"))
# The searches that are quick to compile and different in kind, on families that differ most.
QUICK = {
    "gpt2_tied": ("beams_4", "beams_4_all_processors"),
    "opt": ("beams_4_early",),
    "bloom": ("beams_5_never_early",),
    "qwen3": ("greedy_all_processors",),
    "gemma2": ("beams_4_favouring_short_ones",),
}
# Two scores that float32 does not tell apart: sums of ten log-probabilities, divided by their number. Answers to a row
# that tie so may stand in another order, and one that ties with the last may stand in its place.
TIE = 1e-6


def decided(tokens, wanted, scores, wanted_scores):
    """Whether two lists of answers to a row, the best first, are the same but for those that tie."""
    for mine, score in zip(tokens, scores, strict=True):
        place = next((k for k, other in enumerate(wanted) if (mine == other).all()), len(wanted) - 1)
        if abs(score - wanted_scores[place]) >= TIE and not (mine == wanted[place]).all():
            return False  # an answer that transformers lacks, and that is no tie with the last of its own
    ours = [next((k for k, mine in enumerate(tokens) if (mine == other).all()), None) for other in wanted]
    return all(
        abs(wanted_scores[k] - (scores[-1] if place is None else wanted_scores[place])) < TIE
        for k, place in enumerate(ours)
        if k != place
    )


def check(case, name):
    decoder, params, _ = load_case(case)
    with np.load(GOLDEN / case / "generated.npz") as file:
        golden = {key: file[key] for key in ("tokens", "lengths", "eos", name, f"{name}_lengths", f"{name}_scores")}
    rows = len(golden["tokens"])
    stops = np.zeros(decoder.config.vocab_size, np.int32)
    stops[golden["eos"]] = stopping.EOS
    search = Search(max_new_tokens=NEW_TOKENS, eos_token_id=golden["eos"].tolist(), **SEARCHES[name])
    ours = one_batch.decode(
        decoder,
        params,
        jnp.zeros((1, 0, decoder.config.embed_dim)),
        jnp.zeros(rows, jnp.int32),
        golden["tokens"].astype(np.int32),
        golden["lengths"].astype(np.int32),
        stops,
        None,
        search,
        end_tokens=len(golden["eos"]),
    )
    answers = search.num_return_sequences
    rows_of = [np.asarray(x).reshape(rows, answers, *np.shape(x)[1:]) for x in (ours.tokens, ours.score)]
    wanted_of = [golden[key].reshape(rows, answers, *golden[key].shape[1:]) for key in (name, f"{name}_scores")]
    differing = [
        f"row {i}: {tokens.tolist()} (scores {scores}) for {wanted.tolist()} (scores {theirs})"
        for i, (tokens, scores, wanted, theirs) in enumerate(zip(*rows_of, *wanted_of, strict=True))
        if not decided(tokens, wanted, scores, theirs)
    ]
    assert not differing, f"{len(differing)} of {rows} differ:\n" + "\n".join(differing[:20])
    same = (rows_of[0] == wanted_of[0]).all(axis=-1).reshape(-1)
    assert np.asarray(ours.lengths)[same].tolist() == golden[f"{name}_lengths"][same].tolist()
    close(ours.score, golden[f"{name}_scores"], WRITTEN_SCORE)


@pytest.mark.parametrize(("case", "name"), [(case, name) for case, names in QUICK.items() for name in names])
def test_two_hundred_rows_in_one_padded_batch_get_hugging_faces_tokens_and_scores(case, name):
    check(case, name)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SEARCHES)
def test_every_case_gets_hugging_faces_tokens_and_scores_under_every_search(case, name):
    check(case, name)
    jax.clear_caches()  # hundreds of programs would fill the memory
