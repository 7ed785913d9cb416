"""Every place filled once, every tensor read once, and one error that names all that is wrong before any is read."""

import functools
import subprocess
import sys
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from devices import simulated
from flax import nnx
from paths import GOLDEN, ROOT

from ipt_jax.errors import InputError
from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.families import llama
from ipt_jax.models.files.hf_folder import WeightsFolder, read_json
from ipt_jax.models.loading import GGUF_FAMILIES, HF_FAMILIES
from ipt_jax.models.weights import fill, places

CASES = sorted(path.parent.name for path in GOLDEN.glob("*/config.json"))


@functools.cache
def checkpoint(case):
    """The config and the tensors of a tiny checkpoint that Hugging Face's own class has saved."""
    config = read_json(GOLDEN / case / "config.json")
    source = WeightsFolder(GOLDEN / case, HF_FAMILIES[config["model_type"]].HF_PREFIX)
    return config, {name: source.read(name) for name in source.names()}


def decoder_of(config, dtype=jnp.float32):
    """Decoder, shapes, and the family's two tables, in the order of the arguments of `fill`."""
    family = HF_FAMILIES[config["model_type"]]
    ours = family.config_from_hf(config)
    return *FrozenDecoder.abstract(ours, dtype), family.hf_weights(ours), family.hf_ignored(ours)


class Unreadable(tiny.Arrays):
    """Arrays whose headers only may be looked at; one of them is stored in a type that is not supported."""

    odd = ""

    def shape(self, name):
        if name == self.odd:
            raise InputError(f"tensor {name} is stored as I8")
        return super().shape(name)

    def read(self, name):
        raise AssertionError(f"{name} was read")


def test_the_checkpoints_here_are_of_every_family():
    assert {checkpoint(case)[0]["model_type"] for case in CASES} == set(HF_FAMILIES)


@pytest.mark.parametrize("case", CASES)
def test_one_error_names_everything_that_is_wrong_and_no_tensor_is_read_for_it(case):
    config, tensors = checkpoint(case)
    kernels = sorted(name for name, array in tensors.items() if array.ndim == 2 and ".0." in name)
    missing, narrow, cut, odd = kernels[:4]
    wrong = tensors | {narrow: tensors[narrow][:-1], cut: tensors[cut][:, :-1], "surplus": np.zeros(2, np.float32)}
    del wrong[missing]
    source = Unreadable(wrong)
    source.odd = odd
    with pytest.raises(InputError) as error:
        fill(*decoder_of(config), source)
    message = str(error.value)
    assert f"tensor {missing} is missing (for blocks." in message
    assert f"tensor {narrow} has shape {wrong[narrow].shape}, which does not fit blocks." in message
    assert f"tensor {cut} has shape {wrong[cut].shape}, which does not fit blocks." in message
    assert f"tensor {odd} is stored as I8" in message
    assert "tensor surplus is left over" in message


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_is_read_once_even_where_query_key_and_value_share_one(case):
    config, tensors = checkpoint(case)
    reads = []

    class Counting(tiny.Arrays):
        def read(self, name):
            reads.append(name)
            return super().read(name)

    fill(*decoder_of(config), Counting(tensors))
    assert sorted(reads) == sorted(tensors)


def test_a_bar_on_a_terminal_shows_how_many_of_the_weights_are_read(capsys, monkeypatch):
    config, tensors = checkpoint("llama_tied_grouped")
    fill(*decoder_of(config), tiny.Arrays(tensors))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("ipt_jax.runtime.log.shows_bars", lambda: True)
    fill(*decoder_of(config), tiny.Arrays(tensors))
    bar = capsys.readouterr().err
    assert "loading weights:   0%" in bar and "loading weights: 100%" in bar


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("gpt2_tied", "lm_head.weight"),
        ("gpt2_tied", "transformer.h.1.attn.bias"),
        ("gpt2_tied", "transformer.h.1.attn.masked_bias"),
        ("llama_tied_grouped", "lm_head.weight"),
        ("llama_tied_grouped", "model.layers.1.self_attn.rotary_emb.inv_freq"),
        ("opt", "lm_head.weight"),
        ("bloom", "lm_head.weight"),
        ("gpt_neox", "gpt_neox.layers.1.attention.bias"),
        ("gpt_neox", "gpt_neox.layers.1.attention.masked_bias"),
        ("gpt_neox", "gpt_neox.layers.1.attention.rotary_emb.inv_freq"),
    ],
)
def test_a_repeated_head_of_a_tied_model_and_old_buffers_are_ignored(case, name):
    config, tensors = checkpoint(case)
    plain = fill(*decoder_of(config), tiny.Arrays(tensors))
    more = fill(*decoder_of(config), tiny.Arrays(tensors | {name: np.zeros((2, 2), np.float32)}))
    assert jax.tree.all(jax.tree.map(np.array_equal, more, plain))


def test_an_untied_model_without_a_head_is_refused():
    config = tiny.hf_config("llama", tie_word_embeddings=False)
    tensors = tiny.hf_tensors(config)
    del tensors["lm_head.weight"]
    with pytest.raises(InputError, match=r"lm_head\.weight is missing \(for head\)"):
        tiny.assemble(config, tensors)


def test_a_place_that_no_row_of_the_table_fills_and_one_that_two_rows_fill_are_named():
    config = tiny.hf_config("llama")
    decoder, shapes, table, _ = decoder_of(config)
    table = [row for row in table if row.place != "blocks.gate.kernel"] + [table[0]]
    with pytest.raises(InputError) as error:
        fill(decoder, shapes, table, [], tiny.Arrays(tiny.hf_tensors(config)))
    assert "no row of the weight table fills blocks.gate.kernel" in str(error.value)
    assert f"2 rows of the weight table fill {table[0].place}" in str(error.value)


@pytest.mark.parametrize("family", GGUF_FAMILIES.values())
def test_no_gguf_table_names_a_place_twice(family):
    listed = [row.place for row in family.gguf_weights(tiny.tiny_lm("llama").decoder.config)]
    assert len(listed) == len(set(listed))


def test_each_layer_lands_in_its_own_slice_of_the_stack():
    config = tiny.hf_config("llama", num_hidden_layers=3)
    tensors = tiny.hf_tensors(config)
    kernels = places(tiny.assemble(config, tensors).params)["blocks.up.kernel"][...]
    for layer in range(3):
        np.testing.assert_array_equal(kernels[layer], tensors[f"model.layers.{layer}.mlp.up_proj.weight"].T)


def test_the_host_holds_a_few_tensors_at_a_time_and_never_a_stack_of_layers():
    config = tiny.hf_config("llama", hidden_size=256, intermediate_size=1024, num_hidden_layers=16)
    decoder, shapes, table, ignored = decoder_of(config, jnp.bfloat16)

    class Made(tiny.Arrays):
        """Float32 tensors that are made when they are read."""

        def shape(self, name):
            return self._tensors[name]

        def read(self, name):
            return np.ones(self._tensors[name], np.float32)

    source = Made({name: array.shape for name, array in tiny.hf_tensors(config).items()})
    fill(decoder, shapes, table, ignored, source)  # what is traced and compiled is no part of the weights
    tracemalloc.start()  # NumPy's memory, not the devices'
    try:
        params = fill(decoder, shapes, table, ignored, source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    largest = 4 * 256 * 1024
    assert sum(x.nbytes for x in jax.tree.leaves(params)) > 30 * largest
    assert peak < 4 * largest


_SHARDED = """
import jax, numpy as np
from ipt_jax.models import loading
from ipt_jax.models.sharding import sharding
from ipt_jax.models.weights import places

mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
whole = places(loading.load({folder!r}, dtype="bfloat16").params)
lm = loading.load({folder!r}, dtype="bfloat16", mesh=mesh)
spread = places(lm.params)
assert len(whole) == len(spread) > 10
cut = set()
for place, leaf in spread.items():
    array = leaf[...]
    assert array.sharding == sharding(lm.decoder.config, mesh, place, array.shape), (place, array.sharding)
    (size,) = {{shard.data.size for shard in array.addressable_shards}}
    assert size in (array.size, array.size // 4), place
    if size < array.size:
        cut.add(place)
    np.testing.assert_array_equal(array, whole[place][...])
assert {{"blocks.query.kernel", "blocks.out.kernel", "blocks.up.bias", "blocks.down.kernel", "embedding"}} <= cut
"""


def test_on_eight_devices_each_holds_its_part_of_what_one_device_holds(tmp_path):
    folder = tiny.write_hf_folder(tmp_path, "gpt2", vocab_size=268)  # which four devices share evenly
    environment = simulated(8)
    command = [sys.executable, "-c", _SHARDED.format(folder=str(folder))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("family", "setting", "value"),
    [
        ("gpt2", "add_cross_attention", True),
        ("gpt2", "activation_function", "mish"),
        ("llama", "hidden_act", "mish"),
        ("llama", "pretraining_tp", 2),
    ],
)
def test_a_setting_that_changes_the_arithmetic_and_is_not_built_is_refused(family, setting, value):
    with pytest.raises(InputError, match=f"{setting}={value!r} is not implemented for (GPT-2|Llama); supported: "):
        HF_FAMILIES[family].config_from_hf(tiny.hf_config(family) | {setting: value})


def test_the_rotary_base_is_read_from_old_and_new_configs():
    old = tiny.hf_config("llama", rope_theta=300.0)
    new = tiny.hf_config("llama") | {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}}
    assert llama.config_from_hf(old) == llama.config_from_hf(new)
    assert llama.config_from_hf(old).rotaries[0].theta == 300.0


def test_places_are_named_by_their_path():
    shapes = FrozenDecoder.abstract(llama.config_from_hf(tiny.hf_config("llama")), jnp.float32)[1]
    assert places(shapes)["blocks.query.kernel"].shape == (2, 32, 32)
    assert len(places(shapes)) == len(nnx.to_flat_state(shapes))
