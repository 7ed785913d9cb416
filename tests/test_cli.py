"""How commands end: exit status and one line on stderr."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap

import pytest
from commands import call_file
from paths import ROOT

import ipt_jax
from ipt_jax import cli
from ipt_jax.runtime import preemption

COMMAND = """
    from absl import flags
    from ipt_jax import cli
    from ipt_jax.errors import InputError

    POSITIONAL = True
    FIRST, SECOND = flags.FlagValues(), flags.FlagValues()
    OUTPUT = flags.DEFINE_string("output", None, "the file to write", flag_values=FIRST)
    COUNT = flags.DEFINE_integer("count", 1, "how many", flag_values=FIRST)
    flags.DEFINE_string("output", None, "another command's flag of this name", flag_values=SECOND)

    def main(argv):
        if OUTPUT.value == "bad":
            raise InputError("--output = 'bad'\\nis bad; give a good one")
        if OUTPUT.value == "defect":
            raise RuntimeError("our own defect")
        if OUTPUT.value == "ctrl-c":
            raise KeyboardInterrupt
        if OUTPUT.value.startswith("/"):
            open(OUTPUT.value, "w")
        print(argv[1:], OUTPUT.value, COUNT.value)
        return 3 if OUTPUT.value == "three" else None

    cli.run(main, FIRST, required=("output",), positional=POSITIONAL)
"""

CONFIG_COMMAND = """
    from absl import flags
    from ipt_jax import cli
    from ml_collections import config_flags

    FLAGS = flags.FlagValues()
    CONFIG = config_flags.DEFINE_config_file("config", flag_values=FLAGS)
    cli.run(lambda argv: print(CONFIG.value.task.name, CONFIG.value.steps), FLAGS)
"""

CONFIG = """
    from ml_collections import ConfigDict
    def get_config():
        return ConfigDict({"task": {"name": "sample"}, "steps": 1})
"""


def run(path, source, *arguments):
    """In a Python of its own; other tests of commands call them in theirs, see `commands.py`."""
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(path), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_flags_and_arguments_reach_main(tmp_path):
    done = run(tmp_path / "command.py", COMMAND, "one", "--output=here", "--count=2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "['one'] here 2\n", "")


def test_the_exit_status_is_what_main_returns(tmp_path):
    assert run(tmp_path / "command.py", COMMAND, "--output=three").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=bad"], "error: --output = 'bad' is bad; give a good one\n"),
        (["--ouput=x"], "error: Unknown command line flag 'ouput'. Did you mean: output ?\n"),
        ([], "error: --output must be given; --help describes the flags\n"),
        (["--output=x", "--count=many"], "error: flag --count=many: invalid literal"),
        (["--output=x", f"--count.{'x' * 5000}"], "error: the command line cannot be read: RecursionError"),
    ],
)
def test_a_wrong_input_is_one_line_on_stderr_and_status_2(tmp_path, arguments, message):
    done = run(tmp_path / "command.py", COMMAND, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message) and done.stderr.count("\n") == 1


def test_an_argument_without_a_flag_is_refused_where_the_command_takes_none(tmp_path):
    done = run(tmp_path / "command.py", COMMAND.replace("POSITIONAL = True", "POSITIONAL = False"), "x", "--output=y")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unexpected argument 'x'; every value follows a flag, as in --name=value\n"


def test_what_the_file_system_refuses_is_one_line_on_stderr_and_status_2(tmp_path):
    done = run(tmp_path / "command.py", COMMAND, f"--output={tmp_path}")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {tmp_path}: Is a directory\n")


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path):
    done = run(tmp_path / "command.py", COMMAND, "--output=ctrl-c")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped by Ctrl-C\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_character_gets_its_number(tmp_path, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = run(tmp_path / "command.py", COMMAND, "--output=→")
    assert done.returncode == 0 and "\\u2192" in done.stdout


def test_a_defect_keeps_its_traceback(tmp_path):
    done = run(tmp_path / "command.py", COMMAND, "--output=defect")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "our own defect" in done.stderr


@pytest.mark.parametrize("arguments", [["--output=three", "one"], ["--output=bad"], ["--help"], []])
def test_a_command_called_in_a_tests_own_python_prints_and_ends_as_in_another(tmp_path, arguments):
    other = run(tmp_path / "command.py", COMMAND, *arguments)
    done = call_file(tmp_path / "command.py", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (other.returncode, other.stdout, other.stderr)


def test_help_lists_the_commands_own_flags(tmp_path):
    done = run(tmp_path / "command.py", COMMAND, "--help")
    assert "--output: the file to write" in done.stdout
    assert "another command's flag" not in done.stdout


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(textwrap.dedent(CONFIG), encoding="utf-8")
    return path


def test_config_leaves_are_overridden_by_flags(tmp_path, config):
    flags = [f"--config={config}", "--config.task.name=dart", "--config.steps", "7"]
    done = run(tmp_path / "command.py", CONFIG_COMMAND, *flags)
    assert (done.returncode, done.stdout, done.stderr) == (0, "dart 7\n", "")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.task.nme=dart", 'unknown config key \'nme\' Did you mean "name" instead of "nme"?'),
        ("--config.steps=many", "flag --config.steps=many: invalid literal for int() with base 10: 'many'"),
    ],
)
def test_a_wrong_config_override_is_one_line_on_stderr_and_status_2(tmp_path, config, flag, message):
    done = run(tmp_path / "command.py", CONFIG_COMMAND, f"--config={config}", flag)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("leaf", ["task.name.x", "task.name.1", "steps. "])
def test_a_leaf_below_a_value_is_one_line_on_stderr_and_status_2(tmp_path, config, leaf):
    (tmp_path / "command.py").write_text(textwrap.dedent(CONFIG_COMMAND), encoding="utf-8")
    done = call_file(tmp_path / "command.py", f"--config={config}", f"--config.{leaf}=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the command line cannot be read: ") and done.stderr.count("\n") == 1


def console(*arguments, **kwargs):
    """`ipt-jax ARGUMENTS`, in a Python of its own."""
    command = [sys.executable, "-c", "from ipt_jax import cli; cli.console()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **kwargs)


def test_the_console_script_has_every_command_and_is_installed_under_its_name():
    assert "ipt-jax = ipt_jax.cli:console" in (ROOT / "setup.cfg").read_text()
    done = console()
    assert done.returncode == 0 and all(f"\n  {name} " in done.stdout for name in cli.COMMANDS)
    for module, _, _ in cli.COMMANDS.values():
        assert importlib.util.find_spec(module)


def test_a_command_of_the_console_script_is_the_module_with_its_flags(tmp_path):
    (tmp_path / "a.txt").write_text("")
    done = console("score", "--task=sample", f"--predictions={tmp_path / 'none'}")
    assert done.returncode == 2 and "error: " in done.stderr and "none" in done.stderr
    done = console("list", "--config=quickstart", "--format=json", f"--workdir={tmp_path}")
    jobs = json.loads(done.stdout)
    assert done.returncode == 0 and {"id", "runs", "depth", "description"} == set(jobs[0])
    assert sorted(len(job["runs"]) for job in jobs) == [1, 1, 1, 2, 2]
    text = console("list", "--config=quickstart", f"--workdir={tmp_path}").stdout.splitlines()
    assert [line.split("\t")[0] for line in text] == [job["id"] for job in jobs]


def test_an_unknown_command_suggests_the_near_one():
    done = console("exprot")
    assert (done.returncode, done.stderr) == (2, "error: 'exprot' is no command; did you mean export?\n")


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--version"]])
def test_the_version_is_said_by_the_script_and_by_each_command(arguments):
    assert console(*arguments).stdout == f"ipt_jax {ipt_jax.__version__}\n"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_help_of_a_command_imports_nothing_that_takes_time(name):
    source = f"""
import sys
sys.argv = ["ipt-jax", {name!r}, "--help"]
from ipt_jax import cli
try:
    cli.console()
except SystemExit:
    slow = {{"jax", "flax", "optax", "orbax", "datasets", "pandas", "transformers", "matplotlib", "scipy.stats"}}
    print("imported:", sorted(slow & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "imported: []", done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 10


def test_json_is_for_what_is_printed(tmp_path):
    done = console("run", "--config=quickstart", "--format=json", f"--workdir={tmp_path}")
    assert done.returncode == 2 and "--format=json is for --plan and --list" in done.stderr


def test_messages_are_lines_of_json_or_left_out_as_the_flags_say(tmp_path):
    flags = ["run", "--config=quickstart", "--config.model.source=nowhere/at-all.gguf", f"--workdir={tmp_path}"]
    done = console(*flags, "--log_format=json")
    assert done.returncode == 2
    *told, error = done.stderr.splitlines()
    assert error.startswith("error: ") and [json.loads(line)["level"] for line in told]
    assert json.loads(told[0]).keys() == {"time", "level", "logger", "message"}
    done = console(*flags, "--quiet")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_the_page_of_commands_has_every_exit_status():
    table = (ROOT / "docs" / "commands.md").read_text().partition("## Exit status\n")[2].partition("\n## ")[0]
    said = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.M)}
    assert said == {0, 1, cli.INPUT_ERROR_STATUS, preemption.EX_TEMPFAIL, cli.INTERRUPTED_STATUS}
