"""What a plan estimates from a sample."""

import dataclasses
import re

import pytest
from forecasts import forecasts_of
from small_config import config_for

from ipt_jax.cost.arithmetic import block_flop
from ipt_jax.cost.hardware import PUBLISHED
from ipt_jax.cost.spread import Split
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan import forecast, plan


@pytest.fixture(scope="module")
def text(planned_lm, cache, tmp_path_factory):
    return plan.describe(config_for(planned_lm, cache), tmp_path_factory.mktemp("empty") / "new")


def test_a_sample_of_a_split_stands_for_all_of_it(planned_lm, cache, tmp_path):
    config = config_for(planned_lm, cache, "pt")
    config.limit.train, config.limit.test = 0, 0  # 2,000 and 100
    config.training.steps = 256  # four whole groups of batches: a few of them may be long or short ones
    whole = forecasts_of(config, tmp_path)["pt"]
    sampled = forecasts_of(config, tmp_path, sample=40)["pt"]
    assert len(sampled.rows) == 40 and sampled.examples == whole.examples == 100
    for each in ("train", "prefill", "decode"):
        assert getattr(sampled, each) == pytest.approx(getattr(whole, each), rel=0.15)


def test_members_of_a_population_share_the_steps_of_training_and_decoding(planned_lm, cache, tmp_path):
    planned = forecasts_of(config_for(planned_lm, cache, "pt"), tmp_path)["pt"]
    alone = dataclasses.replace(
        planned, runs=planned.runs[:1], train=planned.train / 2, prefill=planned.prefill / 2, decode=planned.decode / 2
    )
    # So little arithmetic that only the number of steps counts: two prompts train in the steps of one.
    both, one = planned.seconds(Split(PUBLISHED[0])), alone.seconds(Split(PUBLISHED[0]))
    assert both[0] == one[0] and one[1] <= both[1] < 1.1 * one[1]


def test_a_model_that_does_not_fit_a_device_is_said_not_to_and_has_no_hours_there(planned_lm, cache, tmp_path):
    planned = forecasts_of(config_for(planned_lm, cache, "pt"), tmp_path)["pt"]
    small = dataclasses.replace(PUBLISHED[0], memory=1000.0)

    def least(device, **changes):
        return planned.bytes(Split(dataclasses.replace(device, **changes))).least

    assert planned.fits(Split(PUBLISHED[0])) and not planned.fits(Split(small))
    assert least(PUBLISHED[0], itemsize=4) > least(PUBLISHED[0]) > 2 * 2 * forecast.parameters(planned.lm)
    text = plan.hours([planned], 0.0, small)
    assert re.search(rf"not {re.escape(planned.lm.name)} +– +– +– +– ", text)


def test_embedding_runs_every_different_input_through_the_layers_once(planned_lm, cache, tmp_path):
    config = config_for(planned_lm, cache, "icl_retrieved_one_shot")
    (run,) = resolve(config)
    preparer = plan.preparers(config)(run.settings)
    texts = set(preparer.split("train", 40)["input"])
    tokens = sum(len(preparer.lm.tokenizer.encode(text)) for text in texts)
    counted = forecast.embedding_flop(preparer, "train", 40)
    assert counted == pytest.approx(tokens * block_flop(preparer.lm.decoder.config))
