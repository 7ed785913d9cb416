"""Which strategy carries out a search, and what rows draw with."""

import dataclasses

import numpy as np

from ipt_jax.decoding.beam_search import BeamSearch
from ipt_jax.decoding.greedy import Greedy
from ipt_jax.decoding.settings import Search
from ipt_jax.decoding.strategies import keys_of, strategy_of

SAMPLED = Search(8, do_sample=True, temperature=0.5, top_k=3, num_return_sequences=2)


def test_one_beam_is_greedy_and_draws_only_if_asked():
    greedy, sampled = strategy_of(Search(8), 1), strategy_of(SAMPLED, 1)
    assert isinstance(greedy, Greedy) and greedy.sampling is None
    assert (sampled.sampling.temperature, sampled.sampling.top_k) == (0.5, 3)


def test_beams_get_what_the_search_says_of_them():
    strategy = strategy_of(Search(8, num_beams=3, length_penalty=0.5, early_stopping="never"), 2)
    assert isinstance(strategy, BeamSearch)
    got = strategy.num_beams, strategy.length_penalty, strategy.early_stopping, strategy.end_tokens
    assert got == (3, 0.5, "never", 2)


def test_rules_go_to_every_strategy():
    for beams in (1, 2):
        rules = strategy_of(Search(8, num_beams=beams, repetition_penalty=1.2, min_new_tokens=3), 1).processors
        assert (rules.repetition_penalty, rules.min_new_tokens) == (1.2, 3)


def test_equal_searches_have_equal_strategies_so_that_programs_are_found_again():
    assert strategy_of(SAMPLED, 1) == strategy_of(dataclasses.replace(SAMPLED, seed=5), 1)
    assert hash(strategy_of(SAMPLED, 1)) == hash(strategy_of(SAMPLED, 1))


def test_rows_draw_by_their_ids_and_the_seed_whatever_stands_beside_them():
    keys = keys_of(SAMPLED, ["a", "b"])
    assert keys.shape == (2, 2, 2)
    assert (keys[1] == keys_of(SAMPLED, ["c", "b", "a"])[1]).all()
    assert not np.array_equal(keys, keys_of(dataclasses.replace(SAMPLED, seed=1), ["a", "b"]))


def test_nothing_is_drawn_with_where_nothing_is_drawn():
    assert keys_of(Search(8), ["a"]) is None
