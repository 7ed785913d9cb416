"""Where vectors, tables and compiled programs are kept between experiments."""

from __future__ import annotations

import os
from pathlib import Path

import jax


def cache_dir(configured: str) -> Path:
    """Where vectors, tables and compiled programs are kept between experiments; each host has its own."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(configured) if configured else Path(home) / "ipt_jax"


def enable_compilation_cache(folder: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
