"""Where things are kept between experiments."""

from pathlib import Path

import jax
import pytest

from ipt_jax.runtime.caches import cache_dir, enable_compilation_cache


def test_the_folder_is_the_configured_one_or_lies_where_caches_lie(monkeypatch, tmp_path):
    assert cache_dir("/else") == Path("/else")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir("") == tmp_path / "ipt_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir("") == tmp_path / "home" / ".cache" / "ipt_jax"


@pytest.fixture
def as_it_was():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_every_program_is_kept_however_quickly_it_was_compiled(as_it_was, tmp_path):
    enable_compilation_cache(tmp_path)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "xla")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0.0
