"""The package as its users install it: a wheel in an empty environment, away from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from paths import ROOT
from tiny import write_hf_folder

from ipt_jax.configs import quickstart
from ipt_jax.workdir.json_files import read_rows

pytest.importorskip("setuptools", minversion="77", reason="builds a wheel; pip install ipt_jax[test]")

BUILT_FROM = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
SIZES = {"train": 24, "dev": 4, "test": 5}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "ipt_jax", source / "ipt_jax", ignore=shutil.ignore_patterns("__pycache__"))
    build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def run_installed(wheel, tmp_path_factory):
    """Runs a command of the installed wheel. What it depends on is that of this environment, without the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        packages,
        wheel,
    ]
    subprocess.run(install, check=True, timeout=300)
    # A path in such a file is searched, but the .pth files in it, such as that of an editable install, are not read.
    (packages / "dependencies.pth").write_text("\n".join({sysconfig.get_path(lib) for lib in ("purelib", "platlib")}))
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(*command):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [python, *command], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=1800
        )

    run.packages = packages
    return run


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return write_hf_folder(tmp_path_factory.mktemp("lm"), "gpt2", n_positions=1024)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows that somebody has invented."""
    folder = tmp_path_factory.mktemp("mine")
    for split, count in SIZES.items():
        rows = [{"input": f"{split} {i}: {i} and {i + 1}", "references": [f"{2 * i + 1}."]} for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_wheel_has_every_file_of_the_package_and_no_other_folder(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    ours = {path for path in (ROOT / "ipt_jax").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert names == {path.relative_to(ROOT).as_posix() for path in ours}
    assert wheel.stat().st_size < 2_000_000


def test_what_is_installed_is_the_wheel_and_helps_from_any_folder(run_installed):
    done = run_installed("-c", "import ipt_jax; print(ipt_jax.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(run_installed.packages)
    done = run_installed("-m", "ipt_jax.main", "--help")
    assert "quickstart" in done.stdout and "paper/table1" in done.stdout
    done = run_installed("-m", "ipt_jax.main", "--config=configs/quickstart.py")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "did you mean --config=quickstart?" in done.stderr


def test_the_quickstart_of_the_wheel_finds_its_data(run_installed, lm):
    done = run_installed("-m", "ipt_jax.main", "--config=quickstart", f"--config.model.source={lm}", "--list")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(quickstart.get_config().runs)  # a population of each method


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "jsonl"])
def test_one_command_runs_every_method_from_the_wheel_and_ends_with_the_page(run_installed, lm, data, tmp_path, name):
    sizes = [f"--config.limit.{split}={count}" for split, count in SIZES.items()]
    flags = [f"--config.task.data_dir={data}"] if name == "jsonl" else sizes
    flags += [f"--config.model.source={lm}", f"--config.execution.cache_dir={tmp_path / 'cache'}"]
    flags += ["--config.training.steps=2", "--config.training.eval_every=1", "--config.decoding.max_new_tokens=6"]
    done = run_installed("-m", "ipt_jax.main", f"--config={name}", *flags, f"--workdir={tmp_path / 'work'}")
    assert done.returncode == 0, done.stderr[-3000:]
    rows = read_rows(tmp_path / "work" / "results.jsonl")
    assert {row["task"] for row in rows} == {"sample" if name == "quickstart" else "jsonl"}
    assert len({row["method"] for row in rows}) == {"quickstart": 5, "jsonl": 6}[name]
    assert {row["examples"] for row in rows} == {SIZES["test"]}
    assert (tmp_path / "work" / "report" / "index.html").stat().st_size > 10_000
