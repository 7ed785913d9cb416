"""The Hugging Face hub: what is asked of it, which commit is recorded, and what to do without a network."""

import shutil
import sys
import types
from fnmatch import fnmatch
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.files import locate

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A repository folder to fill, and a stand-in for `snapshot_download` that copies the files asked for."""
    repository, cache = tmp_path / "repository", tmp_path / "cache" / "snapshots" / COMMIT
    repository.mkdir()
    asked = []

    def snapshot_download(hub_id, *, revision, allow_patterns):
        asked.append((hub_id, revision, allow_patterns))
        cache.mkdir(parents=True, exist_ok=True)
        for path in repository.iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, cache)
        return str(cache)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return types.SimpleNamespace(repository=repository, cache=cache, asked=asked)


def equal(ours, theirs):
    return jax.tree.all(jax.tree.map(np.array_equal, ours.params, theirs.params))


def test_a_hub_model_is_fetched_at_its_revision_and_its_commit_is_recorded(hub):
    tiny.write_hf_folder(hub.repository)
    lm = loading.load("owner/model", revision="v1")
    assert equal(lm, tiny.tiny_lm())
    assert (lm.name, lm.revision) == ("owner/model", COMMIT)
    assert [(hub_id, revision) for hub_id, revision, _ in hub.asked] == [("owner/model", "v1")]


def test_only_settings_tokenizers_and_safetensors_are_fetched(hub):
    tiny.write_hf_folder(hub.repository)
    needed = {path.name for path in hub.repository.iterdir()}
    for name in ("pytorch_model.bin", "modeling.py", "flax_model.msgpack", "consolidated.safetensors", "README.md"):
        (hub.repository / name).write_text("not needed")
    loading.load("owner/model")
    assert {path.name for path in hub.cache.iterdir()} == needed


def test_an_outline_is_the_model_without_weights_and_none_are_fetched(hub):
    tiny.write_hf_folder(hub.repository)
    outline, lm = loading.outline("owner/model", revision="v1"), tiny.tiny_lm()
    assert not list(hub.cache.glob("*.safetensors"))
    assert outline.decoder == lm.decoder and outline.revision == COMMIT
    assert outline.tokenizer.encode("a text") == lm.tokenizer.encode("a text")
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (outline.params, lm.params))
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])


def test_a_bin_file_is_fetched_where_there_are_no_safetensors_and_from_the_same_commit(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    tiny.write_hf_folder(hub.repository)
    (hub.repository / "model.safetensors").rename(hub.repository / "pytorch_model.bin")
    path = locate.locate("owner/model", "main")
    assert (path / "pytorch_model.bin").exists()
    assert [revision for _, revision, _ in hub.asked] == ["main", COMMIT]


def test_a_bin_file_that_nothing_here_can_read_is_not_fetched(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    tiny.write_hf_folder(hub.repository)
    (hub.repository / "model.safetensors").rename(hub.repository / "pytorch_model.bin")
    with pytest.raises(InputError, match="owner/model has no safetensors; its pytorch_model.bin .* pip install torch"):
        loading.load("owner/model")
    assert not list(hub.cache.glob("*.bin"))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """The hub's own client without a network; returns its cache folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_model_out_of_reach_is_refused_with_the_files_to_put_into_a_folder_and_the_setting(offline):
    with pytest.raises(InputError) as error:
        loading.load("no-such-owner/no-such-model", revision="v1")
    message = str(error.value)
    assert "model.source='no-such-owner/no-such-model' is no local folder, and fetching it at revision 'v1'" in message
    for part in ("config.json", "tokenizer.json", "model.safetensors.index.json", "set model.source to it"):
        assert part in message.split("Without a network: put ")[1]


@pytest.mark.parametrize("revision", ["", "main", COMMIT])
def test_without_a_network_a_model_in_the_hubs_cache_loads(offline, revision):
    repository = offline / "models--owner--model"
    tiny.write_hf_folder(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    lm = loading.load("owner/model", revision=revision)
    assert (lm.revision, equal(lm, tiny.tiny_lm())) == (COMMIT, True)


def test_a_failure_below_the_hubs_own_errors_is_refused_too(monkeypatch):
    from huggingface_hub import errors

    def snapshot_download(hub_id, **options):
        raise errors.HTTPError("the proxy is gone\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(InputError, match="from the Hugging Face hub failed: the proxy is gone\n  Without a network"):
        loading.load("gpt2-xl")


def test_a_revision_of_something_on_this_machine_is_refused(tmp_path):
    folder = tiny.write_hf_folder(tmp_path)
    with pytest.raises(InputError, match=r"model\.revision='v1' is of a hub id, .*leave model\.revision empty"):
        loading.load(str(folder), revision="v1")


@pytest.mark.parametrize(
    ("path", "commit"),
    [
        (f"hub/models--gpt2/snapshots/{COMMIT}", COMMIT),
        (f"hub/models--gpt2/snapshots/{COMMIT[:-1]}", ""),
        (f"checkpoints/{COMMIT}", ""),
        ("models/gpt2", ""),
    ],
)
def test_a_folder_in_the_hubs_cache_tells_its_commit_and_no_other_does(path, commit):
    assert locate.commit_of(Path(path)) == commit
