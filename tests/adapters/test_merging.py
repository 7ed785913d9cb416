"""A LoRA added to the weights of a folder, for families whose checkpoints keep their maps in other ways."""

import numpy as np
import pytest
from adapter_samples import random_lora
from model_cases import load_case
from paths import GOLDEN
from tolerances import LOGITS, close

from ipt_jax.adapters.merging import write_merged
from ipt_jax.adapters.trained import TrainedAdapter, injection_of
from ipt_jax.errors import InputError
from ipt_jax.language_model import _logits
from ipt_jax.models.files.hf_folder import WeightsFolder
from ipt_jax.models.loading import HF_FAMILIES, FrozenLM
from ipt_jax.models.weights import fill

FAMILIES = {"gpt2_tied": "gpt2", "bloom": "bloom", "llama_tied_grouped": "llama", "gemma2": "gemma2", "opt": "opt"}


def outlined(monkeypatch, name):
    """`loading.outline` of a golden folder, which has no tokenizer."""
    decoder, params, _ = load_case(name)
    lm = FrozenLM(name, decoder, params, None, "", "float32", family=FAMILIES[name])
    monkeypatch.setattr("ipt_jax.models.loading.outline", lambda source: lm)
    return lm


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_weights_with_a_lora_give_the_logits_of_the_model_with_it(name, tmp_path, monkeypatch):
    lm = outlined(monkeypatch, name)
    one = {key: array[0] for key, array in random_lora(lm.decoder.config, 1).items()}
    adapter, before = TrainedAdapter("lora", one), sorted((GOLDEN / name).iterdir())
    write_merged(adapter, str(GOLDEN / name), tmp_path / "out")
    family = HF_FAMILIES[FAMILIES[name]]
    files = WeightsFolder(tmp_path / "out", family.HF_PREFIX)
    config, decoder = lm.decoder.config, lm.decoder
    params = fill(decoder, lm.params, family.hf_weights(config), family.hf_ignored(config), files)
    tokens = np.random.default_rng(0).integers(1, 90, (2, 6)).astype(np.int32)
    lengths = np.full(2, 6, np.int32)
    expected = _logits(decoder, lm.params, injection_of(adapter, lm), tokens, lengths)
    close(_logits(decoder, params, injection_of(None, lm), tokens, lengths), expected, LOGITS)
    assert (tmp_path / "out" / "config.json").read_bytes() == (GOLDEN / name / "config.json").read_bytes()
    assert sorted((GOLDEN / name).iterdir()) == before


def test_what_changes_no_weight_or_is_of_another_model_is_refused(tmp_path, monkeypatch):
    outlined(monkeypatch, "opt")
    with pytest.raises(InputError, match="a prefix is no change of weights"):
        write_merged(TrainedAdapter("prefix", {}), str(GOLDEN / "opt"), tmp_path)
    other = {key: array[0] for key, array in random_lora(load_case("llama_tied_grouped")[0].config, 1).items()}
    with pytest.raises(InputError, match="does not fit opt"):
        write_merged(TrainedAdapter("lora", other), str(GOLDEN / "opt"), tmp_path)
