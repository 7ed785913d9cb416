"""Prompts as files: read from every kind of place, refused by name, and never run."""

import hashlib
import json
import pickle

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from tiny import tiny_lm

from ipt_jax.adapters.files import check_prompt, load_prompt, prompt_metadata, save_prompt
from ipt_jax.errors import InputError
from ipt_jax.training.checkpoints import Checkpoints

STATE = {"step": jnp.int32(3), "best_prompt": jnp.ones((1, 2, 3))}


def saved(folder, steps):
    kept = Checkpoints(folder)
    for step in steps:
        kept.save(step, {**STATE, "step": jnp.int32(step)})
    kept.close()


def test_a_populations_checkpoint_is_no_prompt(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(1, {**STATE, "best_prompt": jnp.ones((2, 2, 3))})
    kept.close()
    with pytest.raises(InputError, match="holds a population of 2 prompts; give the checkpoints of one run's folder"):
        load_prompt(tmp_path)


PROMPT = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)


def test_a_prompt_is_read_from_every_kind_of_place(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    save_prompt(run / "prompt.safetensors", PROMPT, {"best_step": "7"})
    assert prompt_metadata(run / "prompt.safetensors")["best_step"] == "7"
    np.save(tmp_path / "p.npy", PROMPT)
    (tmp_path / "peft").mkdir()
    safetensors.numpy.save_file({"prompt_embeddings": PROMPT}, tmp_path / "peft" / "adapter_model.safetensors")
    saved(tmp_path / "orbax", [1])
    for source in (run, run / "prompt.safetensors", tmp_path / "p.npy", tmp_path / "peft"):
        assert load_prompt(source).tobytes() == PROMPT.tobytes()
    assert (load_prompt(tmp_path / "orbax") == 1).all()


def test_a_prompt_that_cannot_be_one_is_refused_by_name(tmp_path):
    np.save(tmp_path / "flat.npy", np.ones(3, np.float32))
    np.save(tmp_path / "whole.npy", np.ones((2, 3), int))
    np.save(tmp_path / "nan.npy", np.full((2, 3), np.nan, np.float32))
    safetensors.numpy.save_file({"a": PROMPT, "b": PROMPT}, tmp_path / "two.safetensors")
    (tmp_path / "short.safetensors").write_bytes(b"\x10")
    (tmp_path / "p.bin").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "flat.npy": "float matrix",
        "whole.npy": "float matrix",
        "nan.npy": "not finite",
        "two.safetensors": "expected one tensor",
        "short.safetensors": "cannot be read",
        "p.bin": "not '.bin'",
        "empty": "holds no prompt",
        "nowhere": "does not exist",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            load_prompt(tmp_path / name)
        assert name in str(error.value)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_pickle_is_never_run(tmp_path):
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.npy", "raw.npy"):
        with pytest.raises(InputError, match="cannot be read as a prompt"):
            load_prompt(tmp_path / name)


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def peft(folder, tensors=None, **settings):
    """A PEFT folder of prompt tuning but for `settings`."""
    folder.mkdir()
    safetensors.numpy.save_file({"prompt_embeddings": PROMPT} if tensors is None else tensors, folder / ADAPTER)
    usual = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "token_dim": 6, "num_transformer_submodules": 1}
    (folder / "adapter_config.json").write_text(json.dumps(usual | settings))
    return folder


ADAPTER = "adapter_model.safetensors"


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "P_TUNING"])
def test_an_adapter_of_prompt_rows_is_read_from_its_folder_and_from_its_file(tmp_path, kind):
    folder = peft(tmp_path / "p", peft_type=kind)
    assert load_prompt(folder).tobytes() == load_prompt(folder / ADAPTER).tobytes() == PROMPT.tobytes()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"peft_type": "PREFIX_TUNING"},
            "peft_type='PREFIX_TUNING' is no soft prompt; supported: PROMPT_TUNING, P_TUN",
        ),
        ({"peft_type": "LORA"}, "peft_type='LORA' is no soft prompt"),
        ({"peft_type": ["LORA"]}, r"peft_type=\['LORA'\] is no soft prompt"),
        ({"peft_type": None}, "peft_type=None"),
        ({"num_transformer_submodules": 2}, "of an encoder and a decoder"),
        ({"num_virtual_tokens": 5}, r"is \[4, 6\], where adapter_config.json promises \[5, 6\]"),
        ({"token_dim": "6"}, "promises"),
        ({"tensors": {"lora_A": PROMPT, "lora_B": PROMPT}}, "expected one tensor named prompt_embeddings"),
    ],
)
def test_an_adapter_of_another_kind_is_refused_by_what_its_config_says(tmp_path, settings, complaint):
    folder = peft(tmp_path / "p", **settings)
    for source in (folder, folder / ADAPTER):
        with pytest.raises(InputError, match=complaint):
            load_prompt(source)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64, ">f4"])
def test_a_prompt_of_another_float_type_is_read_as_float32(tmp_path, dtype):
    stored = PROMPT.astype(dtype)
    np.save(tmp_path / "p.npy", stored) if dtype != ml_dtypes.bfloat16 else None
    if dtype != ">f4":
        safetensors.numpy.save_file({"prompt_embeddings": stored}, tmp_path / "p.safetensors")
    for path in tmp_path.iterdir():
        assert load_prompt(path).dtype == np.float32
        np.testing.assert_array_equal(load_prompt(path), stored.astype(np.float32))


def npy_of(header):
    text = header.encode() + b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(384)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4), }"),
        npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 32"),
        npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (3, 32), }"),
    ],
    ids=["empty", "16 TiB", "cut header", "objects"],
)
def test_an_npy_file_that_is_none_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"p\.npy cannot be read as a prompt"):
        load_prompt(written(tmp_path / "p.npy", content))


def test_an_npz_file_under_the_name_of_an_npy_file_is_refused(tmp_path):
    np.savez(tmp_path / "p.npz", a=PROMPT)
    with pytest.raises(InputError, match="cannot be read as a prompt"):
        load_prompt((tmp_path / "p.npz").rename(tmp_path / "p.npy"))


def test_numbers_beyond_float32_are_not_finite(tmp_path):
    np.save(tmp_path / "p.npy", np.full((2, 4), 1e300))
    with pytest.raises(InputError, match="not finite in float32"):
        load_prompt(tmp_path / "p.npy")


@pytest.mark.parametrize("step", ["10", "\u00b2"])
def test_a_folder_of_broken_checkpoints_is_refused(tmp_path, step):
    written(tmp_path / "ck" / step / "x", b"")
    with pytest.raises(InputError, match="none of its checkpoints .10. can be read|holds no prompt"):
        load_prompt(tmp_path / "ck")


def test_a_prompt_in_a_newest_checkpoint_that_is_damaged_is_read_from_the_one_before(tmp_path):
    saved(tmp_path, [1, 2])
    for path in (path for path in (tmp_path / "2").rglob("*") if path.is_file()):
        path.write_bytes(path.read_bytes()[:5])
    assert (load_prompt(tmp_path) == 1).all()


def test_a_flipped_bit_in_a_prompt_of_ours_is_noticed(tmp_path):
    save_prompt(tmp_path / "p.safetensors", PROMPT, {})
    content = bytearray((tmp_path / "p.safetensors").read_bytes())
    content[-10] ^= 1
    with pytest.raises(InputError, match="damaged: its content is not what was written"):
        load_prompt(written(tmp_path / "q.safetensors", content))


def test_equal_prompts_are_equal_bytes_whatever_the_order_of_what_is_said_of_them(tmp_path):
    said = {"model": "m", "model_fingerprint": "f", "run": "r", "population": "2", "best_step": "4"}
    save_prompt(tmp_path / "a.safetensors", PROMPT, said)
    save_prompt(tmp_path / "b.safetensors", PROMPT.copy(), dict(reversed(said.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert prompt_metadata(tmp_path / "a.safetensors") == said
    assert safetensors.numpy.load_file(tmp_path / "a.safetensors")["prompt_embeddings"].tobytes() == PROMPT.tobytes()


def test_a_prompt_that_cannot_be_written_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save_prompt(tmp_path / "gone" / "p.safetensors", PROMPT, {})
    with pytest.raises(InputError, match="float matrix"):
        save_prompt(tmp_path / "p.safetensors", np.ones((2, 3), int), {})
    with pytest.raises(InputError, match="read from a path, not from 3"):
        load_prompt(3)


def test_a_prompt_is_refused_by_another_model_of_its_width_and_taken_by_its_own_in_any_type(tmp_path):
    own, half, other = tiny_lm(), tiny_lm(dtype="bfloat16"), tiny_lm(seed=1)
    rows = np.ones((2, 32), np.float32)
    save_prompt(tmp_path / "p.safetensors", rows, {"model": own.name, "model_fingerprint": own.fingerprint})
    prompt = load_prompt(tmp_path / "p.safetensors")
    for lm in (own, half):
        assert type(check_prompt(prompt, lm)) is np.ndarray and (check_prompt(prompt, lm) == rows).all()
    with pytest.raises(InputError, match=r"trained on tiny llama \(weights \w{12}\), not on tiny llama \(weights"):
        check_prompt(prompt, other)
    with pytest.raises(InputError, match="trained on tiny llama"):
        check_prompt(prompt[:1], other)
    assert (check_prompt(np.asarray(prompt), other) == rows).all()  # a plain array has no model


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("x", "no array of numbers"),
        ([[1.0], [1.0, 2.0]], "no array"),
        (np.full((2, 32), np.nan), "not finite"),
        (7, "sh"),
    ],
)
def test_what_is_no_prompt_is_refused(prompt, complaint):
    with pytest.raises(InputError, match=complaint):
        check_prompt(prompt, tiny_lm())


def test_what_is_noted_beside_a_prompt_is_checked_as_its_numbers_are(tmp_path):
    path = tmp_path / "prompt.safetensors"
    save_prompt(path, PROMPT, {"best_step": "7"})
    assert prompt_metadata(path, ["best_step"]) == {"best_step": "7"}
    with pytest.raises(InputError, match="does not say its population, so a run did not write it"):
        prompt_metadata(path, ["best_step", "population"])
    path.write_bytes(path.read_bytes().replace(b'"best_step": "7"', b'"best_step": "9"'))
    with pytest.raises(InputError, match="its content is not what was written"):
        load_prompt(path)


def test_a_prompt_of_an_older_version_whose_digest_is_of_its_rows_alone_is_read(tmp_path):
    path = tmp_path / "prompt.safetensors"
    metadata = {"best_step": "7", "sha256": hashlib.sha256(PROMPT.tobytes()).hexdigest()}
    safetensors.numpy.save_file({"prompt_embeddings": PROMPT}, path, metadata)
    assert load_prompt(path).tobytes() == PROMPT.tobytes()
    metadata["sha256"] = "0" * 64
    safetensors.numpy.save_file({"prompt_embeddings": PROMPT}, path, metadata)
    with pytest.raises(InputError, match="its content is not what was written"):
        load_prompt(path)
