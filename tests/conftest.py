"""Settings for every test: strict shapes, no deadlines, and caches that never leave the test's own folder."""

import os
from importlib.metadata import version

# Most of a test's time is the compiler's, and tiny models do not need its best: a third less of it, and of the rest
# two fifths less where XLA fuses in its old way. The variables reach the processes that tests start; with 0 in the
# first the tests run the code that users run. An XLA that does not know a flag ends the process, hence the version.
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1" and version("jaxlib").startswith("0.10."):
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_use_fusion_emitters" not in flags:  # a worker has it from the process that started it
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false"

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
import tolerances  # noqa: E402
from launchers import cluster, committed, stand_ins  # noqa: E402, F401  (fixtures)
from report_fixtures import quickstart, quickstart_report, study, study_report  # noqa: E402, F401  (fixtures)

jax.config.update("jax_numpy_rank_promotion", "raise")

# A busy machine is no failure. Elsewhere than in CI every run tries new examples.
hypothesis.settings.register_profile("ours", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("ours")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Vectors, tables and compiled programs go to a folder of the test session, not to the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


# These compare numbers too, but what they are about is commands, processes and devices, and they take long.
WHOLE_RUNS = {"test_bos", "test_commands", "test_experiment", "test_population", "test_processes", "test_sharding"}


@pytest.hookimpl(tryfirst=True)  # before pytest looks which tests have the marker that was asked for
def pytest_collection_modifyitems(items):
    """Marks as `numerics` the tests of every module that compares by `tolerances`: a processor may round otherwise."""
    for item in items:
        module = getattr(item, "module", None)
        if getattr(module, "close", None) is tolerances.close and module.__name__ not in WHOLE_RUNS:
            item.add_marker("numerics")
