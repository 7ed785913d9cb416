"""Trained adapters of any kind: on disk, damaged, and before a model that is not theirs."""

import numpy as np
import pytest
from adapter_samples import random_lora
from tiny import tiny_lm

from ipt_jax.adapters.trained import TrainedAdapter, checked_for, injection_of, load_adapter, save_adapter
from ipt_jax.errors import InputError

LM = tiny_lm("llama")


def lora(**known):
    arrays = {name: array[0] for name, array in random_lora(LM.decoder.config, 1).items()}
    return TrainedAdapter("lora", arrays, **known)


def test_what_is_written_is_read_to_the_bit_and_equal_adapters_are_equal_bytes(tmp_path):
    adapter = lora(model=LM.name, fingerprint=LM.fingerprint)
    for name in ("a.safetensors", "b.safetensors"):
        save_adapter(tmp_path / name, adapter, {"note": "x"})
    found = load_adapter(tmp_path / "a.safetensors")
    assert (found.kind, found.model, found.fingerprint) == ("lora", LM.name, LM.fingerprint)
    assert all((found.arrays[name] == adapter.arrays[name]).all() for name in adapter.arrays)
    assert found.digest() == adapter.digest() and found.numbers == adapter.numbers
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("place", [-1, -1000])
def test_a_flipped_bit_is_noticed(tmp_path, place):
    save_adapter(tmp_path / "a.safetensors", lora(), {})
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    content[place] ^= 1
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.safetensors is damaged"):
        load_adapter(tmp_path / "a.safetensors")


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    broken = lora()
    broken.arrays["query.up"][0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"query\.up has entries that are not finite"):
        save_adapter(tmp_path / "a.safetensors", broken, {})
    assert not (tmp_path / "a.safetensors").exists()


def test_a_kind_of_a_later_version_is_named_with_those_that_are_known(tmp_path):
    save_adapter(tmp_path / "a.safetensors", TrainedAdapter("ia3", lora().arrays), {})
    with pytest.raises(InputError, match="its kind is 'ia3'; this version knows prompt, prefix, lora"):
        load_adapter(tmp_path / "a.safetensors")


def test_an_adapter_is_refused_by_another_model_and_by_one_of_another_shape():
    with pytest.raises(InputError, match="was trained on else .*, not on tiny llama"):
        checked_for(lora(model="else", fingerprint="0" * 64), LM)
    other = tiny_lm("gpt2")
    with pytest.raises(InputError, match=r"the adapter \(lora\) does not fit tiny gpt2: down is"):
        checked_for(lora(), other)


def test_no_adapter_is_a_prompt_of_no_rows():
    assert injection_of(None, LM).positions == 0
    assert injection_of(lora(), LM).changes is not None


def test_an_adapter_is_read_from_a_path_alone():
    with pytest.raises(InputError, match="an adapter is read from a path, not from 3"):
        load_adapter(3)
