"""Vectors of texts: the model's own states or a sentence encoder's, kept on disk and resumed where they stopped."""

import sys
import types

import numpy as np
import pytest
from tiny import tiny_lm
from tolerances import MEAN_STATE, close

from ipt_jax.errors import InputError
from ipt_jax.retrieval import MeanHiddenStates, SentenceEncoder, embedders


def test_a_vector_is_the_mean_of_a_texts_own_states_whatever_stands_beside_it(tmp_path):
    lm = tiny_lm()
    embed = MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, lm.fingerprint, tmp_path)
    texts = ["short", "a text that is quite a bit longer than the first one", ""]
    vectors = embed(texts)
    ids = np.asarray(lm.tokenizer.encode(texts[1]))[None]
    states = lm.decoder.normalise(lm.params, lm.decoder.hidden(lm.params, lm.decoder.embed(lm.params, ids)))
    close(vectors[1], np.asarray(states)[0].mean(axis=0), MEAN_STATE)
    assert np.isfinite(vectors).all()


def test_the_bos_before_a_text_is_seen_and_not_counted(tmp_path):
    lm = tiny_lm()
    tokenizer = types.SimpleNamespace(encode=lm.tokenizer.encode, bos_id=7)
    vectors = MeanHiddenStates(lm.decoder, lm.params, tokenizer, lm.fingerprint, tmp_path)(["short", "a longer text"])
    for text, vector in zip(["short", "a longer text"], vectors, strict=True):
        ids = np.asarray([7, *lm.tokenizer.encode(text)])[None]
        states = lm.decoder.normalise(lm.params, lm.decoder.hidden(lm.params, lm.decoder.embed(lm.params, ids)))
        close(vector, np.asarray(states)[0, 1:].mean(axis=0), MEAN_STATE)


def test_vectors_are_kept_on_disk_under_what_they_were_made_of(tmp_path, monkeypatch):
    lm = tiny_lm()
    embed = MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, lm.fingerprint, tmp_path)
    first = embed(["a", "b"])
    monkeypatch.setattr(MeanHiddenStates, "_compute", lambda self, texts, _: np.zeros((len(texts), 32), np.float32))
    assert (embed(["a", "b"]) == first).all()
    assert (embed(["a", "c"]) == 0).all()
    other = MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, "another model", tmp_path)
    assert (other(["a", "b"]) == 0).all()


def test_embedding_that_was_killed_goes_on_with_the_part_that_is_missing(tmp_path, monkeypatch):
    lm = tiny_lm()
    embed = MeanHiddenStates(lm.decoder, lm.params, lm.tokenizer, lm.fingerprint, tmp_path)
    monkeypatch.setattr(embedders, "_TEXTS_PER_FILE", 2)
    computed = []

    def compute(self, texts, advance):
        if "killed" not in computed and "c" in texts:
            computed.append("killed")
            raise KeyboardInterrupt
        computed.extend(texts)
        return np.array([[ord(text)] for text in texts], np.float32)

    monkeypatch.setattr(MeanHiddenStates, "_compute", compute)
    with pytest.raises(KeyboardInterrupt):
        embed(["a", "b", "c"])
    assert embed(["a", "b", "c"]).ravel().tolist() == [97, 98, 99]
    assert computed == ["a", "b", "killed", "c"]
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def encoder_folder(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "modules.json").write_text("[]")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def stand_in(monkeypatch):
    """A module in place of sentence_transformers, which remembers how it was called."""
    calls = []

    class SentenceTransformer:
        def __init__(self, folder, **options):
            calls.append((folder, options))

        def encode(self, sentences, show_progress_bar):
            assert isinstance(sentences, list) and not show_progress_bar
            calls.append(len(sentences))
            return np.array([[len(text), 1.0] for text in sentences])

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = SentenceTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return calls


def test_a_sentence_encoder_is_loaded_from_its_folder_without_network_code_or_pickle(
    encoder_folder, stand_in, tmp_path, monkeypatch
):
    monkeypatch.setattr(embedders, "_SENTENCES_PER_CALL", 2)
    vectors = SentenceEncoder(encoder_folder, tmp_path / "cache")(["a", "bb", "ccc"])
    assert vectors.dtype == np.float32 and vectors.tolist() == [[1, 1], [2, 1], [3, 1]]
    folder, options = stand_in[0]
    assert folder == str(encoder_folder)
    assert options["local_files_only"] and not options["trust_remote_code"] and options["model_kwargs"] == {
        "use_safetensors": True
    }  # fmt: skip
    assert stand_in[1:] == [2, 1]


def test_kept_vectors_of_a_sentence_encoder_need_no_encoder(encoder_folder, stand_in, tmp_path, monkeypatch):
    first = SentenceEncoder(encoder_folder, tmp_path / "cache")(["a", "bb"])
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    moved = encoder_folder.rename(tmp_path / "moved")
    assert (SentenceEncoder(moved, tmp_path / "cache")(["a", "bb"]) == first).all()
    (moved / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(InputError, match=r"run: pip install 'ipt_jax\[sentence-transformers\]'"):
        SentenceEncoder(moved, tmp_path / "cache")(["a", "bb"])


def test_a_folder_that_is_no_sentence_encoder_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"config\.layout\.encoder=.*has no modules\.json"):
        SentenceEncoder(tmp_path, tmp_path)
