"""Every config of the package, each by its name: it loads, is told what it is for, and makes runs that may be."""

import importlib
import inspect
import pkgutil

import pytest

from ipt_jax import config_flag, configs
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.schema import config_dict

MODULES = sorted(
    module.name.removeprefix("ipt_jax.configs.")
    for module in pkgutil.walk_packages(configs.__path__, "ipt_jax.configs.")
    if not module.ispkg
)
# What others start from, which `--config` does not name.
BASES = {"common", "paper.base"}


@pytest.fixture(params=MODULES)
def module(request):
    return importlib.import_module(f"ipt_jax.configs.{request.param}")


def test_the_names_of_the_flag_are_these_modules_without_those_that_others_start_from():
    assert set(config_flag.names()) == {name.replace(".", "/") for name in set(MODULES) - BASES}


def test_its_docstring_says_how_it_is_run(module):
    name = module.__name__.removeprefix("ipt_jax.configs.")
    said = inspect.getdoc(module)
    shared = name.startswith("paper.") and "un it: `base.py`" in said
    assert name in BASES or shared or f"--config={name.replace('.', '/')}" in said


def test_it_has_the_settings_that_the_schema_has_and_no_other(module):
    config, whole = module.get_config(), config_dict()
    assert set(config) == set(whole)
    for section in ("layout", "prompt", "training", "decoding", "execution", "adapter", "limit", "model"):
        assert set(config[section]) == set(whole[section])


def test_each_of_its_runs_is_one_that_may_be(module):
    """`expand` refuses what may not be."""
    config = module.get_config()
    assert len(expand(config)) >= max(1, len(config.runs))


def test_two_of_it_share_nothing(module):
    one, other = module.get_config(), module.get_config()
    one.layout.prompt_tokens = 99
    one.runs["more"] = {}
    assert other.layout.prompt_tokens != 99 and "more" not in other.runs


def test_chats_run_beside_the_plain_methods():
    from ipt_jax.configs import chat

    runs = chat.get_config().runs
    plain = [name for name in runs if not name.endswith("_chat")]
    assert set(runs) == {*plain, *(f"{name}_chat" for name in plain)}
    assert all(runs[f"{name}_chat"].layout.chat and not runs[name].get("layout", {}).get("chat") for name in plain)
