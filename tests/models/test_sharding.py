"""Parameters over the mesh's model axis: which place is cut how, and the same answers on eight devices as on one."""

import jax
import pytest
from devices import answer_of
from jax.sharding import AbstractMesh, PartitionSpec
from paths import HELPERS
from tiny import hf_config, write_hf_folder
from tolerances import GRADIENT, LOG_PROBABILITY, LOGITS, within

from ipt_jax.models.decoder import FrozenDecoder
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.models.sharding import part_of, sharding, spread_heads
from ipt_jax.models.weights import places

MESHES = ((8, 1), (1, 8), (2, 4))  # data only, model only, mixed
# Between them they have every kind of place; the quick one words that do not divide and a key-value head for two.
CASES = [
    ("llama_tied_grouped", [(2, 4)]),
    *(
        pytest.param(case, MESHES, marks=pytest.mark.slow)
        for case in ("bloom", "gemma3", "gpt2_tied", "llama_tied_grouped", "opt_post_norm_projected")
    ),
]


def on_eight(script, *arguments, meshes):
    """What a script prints of eight devices: mesh → how far it is from one device."""
    shapes = [f"{data},{model}" for data, model in meshes]
    printed = answer_of([str(HELPERS / script), *arguments, *shapes], 8, folder=HELPERS)
    return {tuple(row["mesh"]): row for row in printed}


@pytest.mark.parametrize(("case", "meshes"), CASES)
def test_eight_devices_give_the_logits_and_the_prompt_gradient_of_one(case, meshes):
    rows = on_eight("eight_devices.py", case, meshes=meshes)
    assert set(rows) == set(meshes)
    for (_, model), row in rows.items():
        within(row["errors"][0], LOGITS)
        within(row["errors"][1], GRADIENT)
        assert (row["cut"] > 0) == (model > 1)
        if case == "llama_tied_grouped":  # 2 key-value heads of 4: four devices have each twice, eight cannot share 4
            assert row["kv_heads"] == (4 if model == 4 else 2)


@pytest.mark.parametrize(
    ("beams", "layers", "heads"),
    [
        (2, 1, {(2, 4): 4}),
        *(pytest.param(n, 2, {(8, 1): 2, (2, 4): 4, (1, 8): 8}, marks=pytest.mark.slow) for n in (1, 2)),
    ],
)
def test_eight_devices_write_the_tokens_of_one_however_they_share_model_and_rows(beams, layers, heads, tmp_path):
    folder = write_hf_folder(
        tmp_path / "lm", "llama", num_attention_heads=8, num_key_value_heads=2, num_hidden_layers=layers
    )
    rows = on_eight("decode_on_devices.py", str(folder), str(beams), meshes=heads)
    assert {mesh: row["kv_heads"] for mesh, row in rows.items()} == heads
    for row in rows.values():
        assert row["rows"] == 11 and row["same"] == 1
        within(row["apart"], LOG_PROBABILITY)


def layouts(model_type, parts, **settings):
    """Place → PartitionSpec on a mesh whose model axis has so many parts."""
    family = HF_FAMILIES[model_type]
    decoder, shapes = FrozenDecoder.abstract(family.config_from_hf(settings), jax.numpy.float32)
    mesh = AbstractMesh((2, parts), ("data", "model"))
    return {place: sharding(decoder.config, mesh, place, leaf.shape).spec for place, leaf in places(shapes).items()}


def test_gpt2_xl_over_five_devices_is_cut_by_heads_and_width_and_its_vocabulary_stays_whole():
    specs = layouts("gpt2", 5, vocab_size=50257, n_embd=1600, n_layer=48, n_head=25, n_positions=1024)
    assert specs["blocks.query.kernel"] == PartitionSpec(None, None, "model")
    assert specs["blocks.query.bias"] == PartitionSpec(None, "model")
    assert specs["blocks.out.kernel"] == PartitionSpec(None, "model", None)
    assert specs["blocks.up.kernel"] == PartitionSpec(None, None, "model")
    assert specs["blocks.down.kernel"] == PartitionSpec(None, "model", None)
    for place in (
        "embedding",
        "blocks.out.bias",
        "blocks.down.bias",
        "blocks.attention_norm.scale",
        "position_embedding",
    ):
        assert set(specs[place]) <= {None}


def test_heads_that_do_not_divide_stay_whole_on_every_device():
    specs = layouts("gpt2", 4, vocab_size=50257, n_embd=1600, n_layer=48, n_head=25, n_positions=1024)
    assert set(specs["blocks.query.kernel"]) == set(specs["blocks.out.kernel"]) == {None}
    assert specs["blocks.up.kernel"] == PartitionSpec(None, None, "model")


def test_key_value_heads_are_cut_only_where_each_device_gets_whole_ones():
    llama = {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
    }
    assert layouts("llama", 8, **llama)["blocks.key.kernel"] == PartitionSpec(None, None, "model")
    specs = layouts("llama", 16, **llama)
    assert set(specs["blocks.key.kernel"]) == {None}
    assert specs["blocks.query.kernel"] == PartitionSpec(None, None, "model")
    assert specs["embedding"] == PartitionSpec("model", None)


@pytest.mark.parametrize(
    ("heads", "groups", "parts", "repeated"),
    [(64, 8, 8, 8), (64, 8, 16, 16), (64, 8, 64, 64), (32, 32, 8, 32), (9, 3, 2, 3), (12, 3, 4, 12), (12, 6, 4, 12)],
)
def test_key_value_heads_are_repeated_until_they_divide_where_query_heads_allow_it(heads, groups, parts, repeated):
    settings = {"num_attention_heads": heads, "num_key_value_heads": groups, "hidden_size": 64 * heads}
    config = HF_FAMILIES["llama"].config_from_hf(hf_config("llama", **settings))
    own = spread_heads(config, parts)
    assert own.num_kv_heads == repeated and own.num_kv_heads % config.num_kv_heads == 0
    part = part_of(config, parts)
    if heads % parts == 0 and repeated % parts == 0:
        # A device's query heads meet the very key-value heads they had.
        first = [head // (heads // groups) for head in range(heads)]
        second = [head // (heads // repeated) // (repeated // groups) for head in range(heads)]
        assert first == second
        assert (part.num_heads, part.num_kv_heads) == (heads // parts, repeated // parts)
    assert part.hidden_dim == config.hidden_dim and part.num_layers == config.num_layers
