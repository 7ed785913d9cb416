"""What devices send one another: counted by hand for a model of three layers, and in rings."""

import pytest
from tiny import hf_config

from ipt_jax.cost.exchanges import Collective, Rows, inference, total, training_step
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.runtime.mesh import Spread

CONFIG = HF_FAMILIES["llama"].config_from_hf(
    hf_config("llama", 96, hidden_size=8, num_hidden_layers=3, num_attention_heads=4, intermediate_size=16)
)
ROWS = Rows(tokens=20, positions=30, outputs=5, prompts=12)
STEP = {"itemsize": 2, "gradient_bytes": 1000}


def counts(collectives):
    return {(each.kind, each.axis, each.bytes): each.count for each in collectives}


def test_a_training_step_sums_twice_forward_and_twice_backward_in_every_layer():
    found = counts(training_step(CONFIG, Spread(4, 2), ROWS, **STEP))
    # Two scanned layers; of the last one only its keys and values are of all positions.
    assert found["all-reduce", "model", 30 * 8 * 2] == 2 * 4 + 1
    assert found["all-reduce", "model", 12 * 8 * 2] == 2 * 4 + 1  # the prompts' rows, once
    assert found["all-reduce", "data", 1000] == 1
    assert found["all-reduce", "model", 20 * 8 * 2] == 1  # the embedding
    assert found["all-reduce", "model", 5 * 8 * 2] == 4 + 1  # the last layer, and the targets' rows of the table
    assert found["all-reduce", "model", 5 * 8 * 4] == 1  # the gradient to the last hidden states
    again = counts(training_step(CONFIG, Spread(4, 2), ROWS, **STEP, recomputed=True))
    assert again["all-reduce", "model", 30 * 8 * 2] == 2 * 5 + 1


def test_one_device_sends_nothing_and_groups_of_one_share_the_gradient_alone():
    assert training_step(CONFIG, Spread(1, 1), ROWS, **STEP) == inference(CONFIG, 1, ROWS, itemsize=2) == []
    assert training_step(CONFIG, Spread(4, 1), ROWS, **STEP) == [Collective("all-reduce", "data", 1000)]


def test_heads_and_words_that_do_not_divide_need_no_sum():
    found = counts(inference(CONFIG, 8, Rows(20, 30, 5), itemsize=2))  # 4 heads; 16 inner numbers and 96 words divide
    assert found["all-reduce", "model", 30 * 8 * 2] == 2
    odd = HF_FAMILIES["gpt2"].config_from_hf(hf_config("gpt2", 97))
    assert counts(inference(odd, 4, Rows(20, 30, 5), itemsize=2)) == {
        ("all-reduce", "model", 30 * 32 * 2): 2,
        ("all-reduce", "model", 5 * 32 * 2): 2,
    }


@pytest.mark.parametrize(("kind", "rounds"), [("all-reduce", 2), ("all-gather", 1)])
def test_a_ring_of_four_sends_three_quarters_of_the_array_in_each_round(kind, rounds):
    assert Collective(kind, "model", 400, 5).sent(4) == 5 * rounds * 300
    assert Collective(kind, "model", 400).sent(1) == 0
    both = [Collective("all-reduce", "data", 100, 2), Collective("all-gather", "model", 100, 3)]
    assert total(both, Spread(2, 4)) == (2 * 2 * 50 + 3 * 75, 5)
