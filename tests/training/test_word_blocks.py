"""How many words of a vocabulary a block has."""

import jax

from ipt_jax.training.word_blocks import CPU_LOGITS_BUDGET, LOGITS_BUDGET, block_words

OWN_BUDGET = CPU_LOGITS_BUDGET if jax.default_backend() == "cpu" else LOGITS_BUDGET


def test_no_block_of_logits_passes_the_budget_and_no_word_is_left_out():
    for rows in (1, 7, 64, 512, 2560):
        for words in (1, 50_257, 250_880):
            for budget in (CPU_LOGITS_BUDGET, LOGITS_BUDGET):
                block = block_words(rows, words, budget)
                assert 4 * rows * block <= budget + 4 * rows
                assert -(-words // block) * block >= words
            assert block_words(rows, words) == block_words(rows, words, OWN_BUDGET)
