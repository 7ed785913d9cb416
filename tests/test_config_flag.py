"""The flag --config: names, files, arguments, and one line for whatever is wrong with a config."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from commands import call
from paths import ROOT

from ipt_jax import config_flag
from ipt_jax.configs import common, dart
from ipt_jax.errors import InputError
from ipt_jax.experiment import schema

START = "from ipt_jax.configs import common\ndef get_config():\n    config = common.get_config()\n"


def run_main(folder, *flags):
    command = [sys.executable, "-m", "ipt_jax.main", *flags]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("name", config_flag.names())
def test_every_config_of_the_package_has_a_name_and_its_file_in_the_checkout_is_the_same(name):
    config = config_flag.load(name)
    assert config.name == name.split("/")[-1]
    assert config.to_dict() == config_flag.load(f"{ROOT}/configs/{name}.py").to_dict()


def test_the_checkout_has_a_file_for_every_config_of_the_package_and_no_other():
    inside, beside = (
        {path.relative_to(folder) for path in folder.rglob("*.py") if path.stem != "__init__"}
        for folder in (ROOT / "ipt_jax" / "configs", ROOT / "configs")
    )
    assert inside == beside and len(inside) == 1 + 1 + len(config_flag.names())  # common, paper/base and those


def test_a_file_goes_before_a_name_and_what_follows_the_colon_goes_to_get_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dart").write_text(
        "from ipt_jax.configs import dart\ndef get_config(name='mine'):\n"
        "    config = dart.get_config()\n    config.name = name\n    return config\n"
    )
    assert [config_flag.load(value).name for value in ("dart", "dart:a", "dart:a:b")] == ["mine", "a", "a:b"]
    Path("dart").unlink()
    assert config_flag.load("dart").to_dict() == dart.get_config().to_dict()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ndef get_config(:\n", "mine.py:2: SyntaxError: invalid syntax in `def get_config\\(:`"),
        ("\x00", "mine.py: .*null bytes"),
        ("from ipt_jax.configs import comon\n", "mine.py:1: ImportError: .*did you mean 'common'|.*Did you mean"),
        ("import ipt_jax.configs.drat\n", "mine.py:1: ModuleNotFoundError: .*did you mean 'dart'"),
        ("import configs\n", "mine.py:1: .*; the package's are ipt_jax.configs: write `from ipt_jax.configs import"),
        ("import no_such_thing\n", "mine.py:1: .*'no_such_thing'; install no_such_thing, or start in the folder"),
        ("\nx = y\n", "mine.py:2: NameError: name 'y' is not defined"),
        ("x = 1\n", "mine.py has no function get_config\\(\\); define one .*start from"),
        ("def get_config(size): ...\n", "mine.py:1: get_config\\(size\\): write --config=FILE.py:ARGUMENT"),
        (START, "mine.py:2: get_config\\(\\) returns NoneType and not a ConfigDict; .* `return config`"),
        (START + "    return 1 / 0\n", "mine.py:4: ZeroDivisionError: division by zero"),
        (START + "    common.paper_methods(1)\n", "mine.py:4: TypeError: paper_methods\\(\\) missing 1 required"),
        (START + "    config.trainig.steps = 1\n", "mine.py:4: unknown config key 'trainig' Did you mean \"training\""),
        (START + "    config.name = 3\n", "mine.py:4: TypeError: .*'name'"),
        (START + "    config.training.stps = 1\n    return config\n", "mine.py:2: config.training.stps .*mean 'steps'"),
        (START + "    del config.data_dir\n    return config\n", "mine.py:2: config.data_dir is missing; start from"),
        ("import neighbour\n", "neighbour.py:1: NameError"),
    ],
)
def test_a_config_that_does_not_work_is_an_error_with_file_line_and_fix(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "configs", None)  # as away from the checkout
    Path("neighbour.py").write_text("x = y\n")
    Path("mine.py").write_text(source)
    with pytest.raises(InputError, match=message):
        config_flag.load("mine.py")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("quikstart", "no such file, and none of .*; did you mean --config=quickstart"),
        ("table1", "did you mean --config=paper/table1"),
        ("configs/dart.py", "did you mean --config=dart"),  # where there is no checkout
        ("mime.py", "did you mean --config=mine.py"),
        ("nothing-like-it", "none of the package's configs adapters, chat, dart, .*, paper/transfer$"),
        ("", "none of the package's configs adapters"),
        ("folder", "folder is a folder; name a file in it, or a config of the package: adapters"),
        ("dart:x", "dart.py:[0-9]+: get_config\\(\\): leave out ':x'"),
    ],
)
def test_a_config_that_is_not_there_is_an_error_with_the_names_there_are(tmp_path, monkeypatch, value, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("mine.py").write_text("")
    with pytest.raises(InputError, match=message):
        config_flag.load(value)


def test_options_runs_and_what_tasks_differ_in_have_names_of_their_own(tmp_path):
    config = common.get_config()
    config.task.options.caption, config.runs.mine, config.per_task.dart = True, {}, {}
    (tmp_path / "mine.py").write_text(
        START + "    config.task.options.caption, config.runs.mine, config.per_task.dart = True, {}, {}\n"
        "    return config\n"
    )
    assert config_flag.load(f"{tmp_path}/mine.py").to_dict() == config.to_dict()


def test_the_program_ends_with_one_line_and_status_2_when_a_config_fails_and_leaves_are_overridden(tmp_path):
    (tmp_path / "mine.py").write_text(START + "    return confg\n")
    for name, message in (("mine.py", "mine.py:4: NameError"), ("mine", "did you mean --config=mine.py?")):
        done = run_main(tmp_path, f"--config={name}", "--config.training.steps=3", "--plan")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"error: flag --config={name}: ") and message in done.stderr


def test_help_names_the_configs_without_loading_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise RuntimeError('--help needs no jax')")
    done = run_main(tmp_path, "--help")
    text = " ".join(done.stdout.split())
    assert all(name in text for name in config_flag.names()) and "--config.SECTION.LEAF=VALUE" in text


@pytest.mark.parametrize(
    ("given", "stop"),
    [(r"\n\n", ("\n\n",)), ("Question:", ("Question:",)), (r"('\n\n', 'x')", ("\n\n", "x")), (r"\\n", (r"\n",))],
)
def test_stop_texts_are_typed_in_a_shell_with_escapes(monkeypatch, given, stop):
    line = ["x", "--config=quickstart", f"--config.decoding.stop={given}"]
    monkeypatch.setattr("sys.argv", line)  # where ml_collections looks for overrides
    found = flags.FlagValues()
    config_flag.define(found)
    found(line)
    assert config_flag.resolved(found).decoding.stop == stop


def test_help_of_a_config_has_every_setting_with_its_value_there_and_its_meaning(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from ipt_jax.configs import quickstart\n"
        "def get_config():\n    config = quickstart.get_config()\n    config.limit.test = 77\n    return config\n"
    )
    done = call("ipt_jax.main", f"--config={tmp_path / 'mine.py'}", "--help")
    assert done.returncode == 0, done.stderr
    assert "--config.limit.test=77\n    of the test split" in done.stdout
    flags = {line.partition("=")[0] for line in done.stdout.splitlines() if line.startswith("--config.")}
    wanted = {"--config." + ".".join(path) for path, leaf in schema.walk() if leaf.setting.in_config}
    assert flags == wanted - {"--config.runs", "--config.per_task"}
    assert "  zero_shot: nothing" in done.stdout
    done = call("ipt_jax.main", "--config=quickstrat", "--help")
    assert done.returncode == 2 and "did you mean --config=quickstart?" in done.stderr


@pytest.mark.parametrize(("flag", "count"), [("seed=(0,1,2)", 3), ("training.steps=(4,8)", 4), ("limit.test=(5,6)", 2)])
def test_a_tuple_on_the_command_line_is_an_axis_where_a_number_stands(flag, count):
    """The quickstart's PT has two seeds of its own, which go before the base's; an ICL run has no steps."""
    done = call("ipt_jax.main", "--config=quickstart", f"--config.{flag}", "--list", "--format=json")
    jobs = json.loads(done.stdout)
    method = {"seed=(0,1,2)": "ICL, random", "training.steps=(4,8)": "IPT", "limit.test=(5,6)": "zero-shot"}[flag]
    assert sum(len(job["runs"]) for job in jobs if job["description"].startswith(method)) == count


def test_a_tuple_of_names_is_an_axis_where_a_name_stands():
    done = call(
        "ipt_jax.main", "--config=quickstart", "--config.layout.retriever=('bm25','random')", "--list", "--format=json"
    )
    described = [job["description"] for job in json.loads(done.stdout)]
    assert sum(text.startswith("IPT, random") for text in described) == 1
    assert sum(text.startswith("IPT") and "random" not in text for text in described) == 1
    assert sum(text.startswith("zero-shot") for text in described) == 1  # which has no demonstrations to choose


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("layout.retriever=('bm25','bm52')", "layout.retriever='bm52' is unknown; did you mean 'bm25'"),
        ("layout.retriever=('bm25'", "is unknown"),
        ("layout.retriever=('bm25',3)", "must be like 'bm25': str, or a tuple of such"),
        ("seed=(0,'a')", "config.seed=(0, 'a') must be like 0: int, or a tuple of such"),
        ("seed=()", "config.seed=() has no value; give at least one"),
        ("training.steps=two", "config.training.steps='two' must be a whole number"),
        ("layout.prompt_tokens=(-1,2)", "config.layout.prompt_tokens=-1 must be at least 0"),
    ],
)
def test_an_axis_of_what_is_no_number_is_refused(flag, message):
    done = call("ipt_jax.main", "--config=quickstart", f"--config.{flag}", "--list")
    assert done.returncode == 2 and message in done.stderr
