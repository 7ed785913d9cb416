"""An accelerator that was asked for and is not there ends the program; one that lies idle is told."""

import logging
import os
import subprocess
import sys

import jax
import pytest
from devices import ROOT
from ml_collections import FrozenConfigDict

from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.run import Run
from ipt_jax.runtime import accelerators
from ipt_jax.runtime.accelerators import require

on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="this machine has an accelerator")


@on_cpu
@pytest.mark.parametrize(("platform", "fix"), [("gpu", r"jax\[cuda12\].*nvidia-smi"), ("tpu", r"jax\[tpu\]")])
def test_a_missing_accelerator_that_was_asked_for_is_an_error_with_the_fix(platform, fix):
    with pytest.raises(InputError, match=f"platform='{platform}' was asked for, and jax found only 'cpu' .*{fix}"):
        require(platform)


@on_cpu
def test_a_variable_that_hides_the_accelerator_is_named(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(InputError, match="JAX_PLATFORMS=cpu is set"):
        require("gpu")


@pytest.mark.parametrize("variable", ["cuda", pytest.param("tpu", marks=pytest.mark.slow)])
def test_what_jax_platforms_names_must_be_there(variable):
    script = "from ipt_jax import cli; from ipt_jax.runtime.accelerators import require; cli.run(lambda _: require(''))"
    environment = {**os.environ, "JAX_PLATFORMS": variable, "PYTHONPATH": str(ROOT)}
    if jax.default_backend() != "cpu":
        pytest.skip("this machine has an accelerator")
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: JAX_PLATFORMS={variable} was asked for")
    assert "Install a jax that knows the device" in done.stderr


@on_cpu
@pytest.mark.parametrize(("platform", "variable", "warned"), [("", "", 1), ("cpu", "", 0), ("", "cpu", 0)])
def test_an_nvidia_device_that_jax_does_not_see_is_told_unless_the_cpu_was_asked_for(
    tmp_path, monkeypatch, caplog, platform, variable, warned
):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(accelerators, "_NVIDIA_DEVICE", tmp_path / "nvidia0")
    monkeypatch.setenv("JAX_PLATFORMS", variable)
    with caplog.at_level(logging.WARNING):
        require(platform)
    assert caplog.text.count("this machine has an NVIDIA device, and jax runs on the CPU") == warned


@on_cpu
def test_without_such_a_device_nothing_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(accelerators, "_NVIDIA_DEVICE", tmp_path / "nothing")
    require("")
    assert not caplog.text


def test_a_platform_that_does_not_exist_is_refused_by_the_config():
    config = common.get_config()
    config.execution.platform = "gpus"
    with pytest.raises(InputError, match="config.execution.platform='gpus' is unknown; choose one of nothing, cpu"):
        expand(config)


@on_cpu
def test_the_platform_is_no_part_of_a_run_but_decides_the_type_that_auto_stands_for():
    config, ids = common.get_config(), {}
    for platform in ("", "cpu", "gpu", "tpu"):
        config.execution.platform = platform
        ((name, settings),) = expand(config)
        ids[platform] = Run(name, FrozenConfigDict(settings), "data").id
    assert ids[""] == ids["cpu"] != ids["gpu"] == ids["tpu"]
