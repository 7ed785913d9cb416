"""Settings for every test: strict shapes, no deadlines, caches of this session alone, and what many tests share."""

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

# Most of a test's time is the compiler's, and tiny models do not need its best: a third less of it, and of the rest
# two fifths less where XLA fuses in its old way. The variables reach the processes that tests start, also those that
# ask for all optimisations; with 0 in the first one the tests run the code that users run. An XLA that does not know
# a flag ends the process: hence the version.
CHEAP = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
CHEAP += " --xla_llvm_disable_expensive_passes=true"
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1" and version("jaxlib").startswith("0.10."):
    flags = os.environ.get("XLA_FLAGS", "")
    if CHEAP not in flags:  # a worker has them from the process that started it
        os.environ["XLA_FLAGS"] = f"{flags} {CHEAP}".strip()

# Vectors, tables and compiled programs go to a folder of the session, not to the user's. Pytest's workers and the
# processes that tests start inherit the variables, so that a program is compiled once.
CACHE = "IPT_JAX_TEST_CACHE"
if CACHE not in os.environ:
    os.environ[CACHE] = tempfile.mkdtemp(prefix="ipt_jax_tests_")
    atexit.register(shutil.rmtree, os.environ[CACHE], ignore_errors=True)
os.environ["XDG_CACHE_HOME"] = os.environ[CACHE]
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(os.environ[CACHE], "ipt_jax", "xla")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
import rotation  # noqa: E402
import tolerances  # noqa: E402
from launchers import cluster, committed, stand_ins  # noqa: E402, F401  (fixtures)
from planned import planned_lm  # noqa: E402, F401  (a fixture)
from prompt_files import prompt_files  # noqa: E402, F401  (a fixture)
from report_fixtures import (  # noqa: E402, F401  (fixtures)
    quickstart,
    quickstart_report,
    setting,
    settings,
    study,
    study_report,
)

pytest_addoption = rotation.pytest_addoption

jax.config.update("jax_numpy_rank_promotion", "raise")

# A busy machine is no failure. Elsewhere than in CI every run tries new examples.
hypothesis.settings.register_profile("ours", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("ours")


@pytest.fixture(scope="session")
def cache():
    """A folder for `config.execution.cache_dir`: the session's own, so that experiments share compiled programs."""
    return Path(os.environ[CACHE]) / "ipt_jax"


@pytest.fixture(scope="session")
def lm_folder(cache, tmp_path_factory):
    """The language model of the small experiment."""
    from small_lm import write_lm

    return write_lm(tmp_path_factory.mktemp("lm"), cache)


@pytest.fixture(scope="session")
def finished(lm_folder, cache, tmp_path_factory):
    """The working directory of the small experiment with every method. Tests leave it as it is."""
    from small_config import config_for

    from ipt_jax.experiment import experiment

    workdir = tmp_path_factory.mktemp("finished")
    experiment.run(config_for(lm_folder, cache), workdir)
    return workdir


def pytest_configure(config):
    # A plugin of its own: this file has one hook of that name already, and they come at other times.
    config.pluginmanager.register(SimpleNamespace(pytest_collection_modifyitems=rotation.pytest_collection_modifyitems))


# These compare numbers too, but what they are about is commands, processes and devices, and they take long.
WHOLE_RUNS = {"test_bos", "test_commands", "test_experiment", "test_population", "test_processes", "test_sharding"}


@pytest.hookimpl(tryfirst=True)  # before pytest looks which tests have the marker that was asked for
def pytest_collection_modifyitems(items):
    """Marks as `numerics` the tests of every module that compares by `tolerances`: a processor may round otherwise."""
    for item in items:
        module = getattr(item, "module", None)
        if getattr(module, "close", None) is tolerances.close and module.__name__ not in WHOLE_RUNS:
            item.add_marker("numerics")
