"""Plans of models that are larger than a device, from folders with a config and a tokenizer only."""

import dataclasses
import json
import re

import pytest
import small_config
from tiny import END, tokenizer_backend

from benchmarks.shapes import LLAMA_2
from ipt_jax.cost.hardware import PUBLISHED, Device
from ipt_jax.cost.spread import Split, parse
from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan import forecast, plan, slice_table

DEVICES = {device.name: device for device in PUBLISHED}
H200, V5E = DEVICES["NVIDIA H200 SXM"], DEVICES["TPU v5e chip"]


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """The small experiment, without retrieval, on each of the large models."""
    found = {}
    for name, settings in LLAMA_2.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "config.json").write_text(json.dumps(settings | {"eos_token_id": 0}))
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
        tokenizer_backend().save(str(folder / "tokenizer.json"))
        config = small_config.get_config("zero_shot,pt")
        config.model.source, config.execution.cache_dir = str(folder), str(tmp_path_factory.getbasetemp() / "cache")
        config.training.batch_size = 8
        found[name] = config
    return found


@pytest.fixture(scope="module")
def planned(configs, tmp_path_factory):
    """Name of the shape → forecasts of its populations."""
    nothing = tmp_path_factory.mktemp("none")

    def forecasts(config):
        preparer_of = plan.preparers(config)
        return [forecast.forecast(preparer_of(g[0].settings), g, nothing, 10) for g in populations(resolve(config))]

    return {name: forecasts(config) for name, config in configs.items()}


@pytest.mark.parametrize(
    ("name", "billions", "fits_one"),
    [("llama-2-7b", 6.74, True), ("llama-2-13b", 13.02, True), ("llama-2-70b", 68.98, False)],
)
def test_a_large_model_is_split_as_far_as_its_bytes_need(planned, name, billions, fits_one):
    own = planned[name]
    assert forecast.parameters(own[0].lm) / 1e9 == pytest.approx(billions, abs=0.01)
    one, eight, pod = (slice_table.fastest(own, count, device) for count, device in ((1, H200), (8, H200), (64, V5E)))
    assert (one == Split(H200)) == fits_one and eight.count == 8 and pod.count == 64
    for split in (eight, pod):
        held = slice_table.largest(own, split)
        assert max(held.least, held.weights + held.prompts + held.activations) <= split.device.budget
    # 16 GB hold none of them whole, and a batch of 8 rows cannot go to more than 8 groups.
    assert pod.model >= 8 and slice_table.fastest(own, 1, V5E) is None


def test_a_devices_part_of_weights_cache_and_arithmetic_is_that_of_its_heads_and_inner_numbers(planned):
    for name, kv_heads in (("llama-2-7b", 32), ("llama-2-70b", 8)):
        trained = next(each for each in planned[name] if each.steps)
        whole, part = Split(H200), Split(H200, 1, 8)
        assert trained.bytes(part).weights == pytest.approx(trained.bytes(whole).weights / 8, rel=0.01)
        assert trained.step(part).flop == pytest.approx(trained.step(whole).flop / 8, rel=0.01)
        assert trained.step(Split(H200, 8)).flop == pytest.approx(trained.step(whole).flop / 8)
        # Where there are fewer key-value heads than devices, a device has one, as before, and not a part of one.
        sixteen = trained.bytes(Split(H200, 1, 16))
        assert (sixteen.weights > 1.01 * trained.bytes(part).weights / 2) == (kv_heads % 16 != 0)


def test_exchanges_grow_with_the_devices_that_share_a_model_and_are_none_on_one(planned):
    trained = next(each for each in planned["llama-2-7b"] if each.steps)
    sent = [trained.step(Split(H200, 1, model)).sent for model in (1, 2, 4, 8)]
    assert sent[0] == 0 and sent == sorted(sent) and sent[-1] < 2 * sent[1]
    # Groups share the rows: each sends for its own only. What it sends for all prompts, and their gradient, is small.
    assert trained.step(Split(H200, 4, 2)).sent == pytest.approx(sent[1] / 4, rel=0.02)


def test_a_slower_link_makes_a_step_longer_by_what_is_sent(planned):
    trained = next(each for each in planned["llama-2-7b"] if each.steps)
    slow = dataclasses.replace(H200, link=H200.link / 1e4)
    fast_step, slow_step = (trained.step(Split(device, 1, 8)) for device in (H200, slow))
    assert fast_step == slow_step
    own = H200.seconds(fast_step) - H200.sending(fast_step)
    assert slow.seconds(slow_step) == pytest.approx(own + slow.sending(slow_step))
    assert slow.sending(slow_step) == pytest.approx(slow_step.sent / (slow.share * slow.link))
    # On so slow a link the rows are shared out instead of the model.
    assert slice_table.fastest(planned["llama-2-7b"], 8, slow) == Split(slow, 8, 1)


def test_the_table_has_a_row_for_every_set_of_devices_and_says_what_does_not_fit(planned):
    table = slice_table.table(planned["llama-2-70b"], parse("1 x NVIDIA H200 SXM, 8 x NVIDIA H200 SXM"))
    assert table.rows[0][:2] == ["1 x NVIDIA H200 SXM", "does not fit"] and set(table.rows[0][2:]) == {"–"}
    assert len(table.rows[1]) == len(table.header) and re.fullmatch(r"\d x \d", table.rows[1][1])
    assert "–" not in table.rows[1]


def test_a_plan_shows_devices_together_and_refuses_unknown_ones(configs, tmp_path, monkeypatch):
    here = Device("this machine", 1e11, 1e10, 16e9, "measured", is_cpu=True)
    monkeypatch.setattr(plan, "this_device", lambda config, dtype: here)
    text = plan.describe(configs["llama-2-7b"], tmp_path, "4 x TPU v4 chip")
    assert re.search(r"^4 x TPU v4 chip +\d x \d +\d", text, re.MULTILINE)
    assert "64 x TPU v5e chip" in plan.describe(configs["llama-2-7b"], tmp_path)
    with pytest.raises(InputError, match="--slices: '4 x abacus'"):
        plan.describe(configs["llama-2-7b"], tmp_path, "4 x abacus")
