"""Commands called in this process: what `python -m` does, without the seconds in which a new Python imports jax."""

import contextlib
import io
import logging
import runpy
import subprocess
import sys
import textwrap
import traceback
import warnings
from subprocess import CompletedProcess
from unittest import mock

from absl import logging as absl_logging
from paths import ROOT


def call(module, *arguments):
    """What `python -m MODULE ARGUMENTS` would print and end with."""
    return _call(runpy.run_module, module, [module, *arguments])


def call_file(path, *arguments):
    """What `python PATH ARGUMENTS` would print and end with."""
    return _call(runpy.run_path, str(path), [str(path), *arguments])


def _call(start, what, line):
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_loggers_as_before())
        stack.enter_context(warnings.catch_warnings())
        # Its flags are to be new ones, so the module runs once more although it may have been imported.
        warnings.filterwarnings("ignore", message=".*found in sys.modules after import of package", module="runpy")
        stack.enter_context(mock.patch.object(sys, "argv", line))
        stack.enter_context(contextlib.redirect_stdout(stdout))
        stack.enter_context(contextlib.redirect_stderr(stderr))
        try:
            start(what, run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except Exception:
            traceback.print_exc()
            status = 1
    return CompletedProcess(line, status, stdout.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def _loggers_as_before():
    """Commands send the package's messages to stderr, and quieten absl; other tests look for messages elsewhere."""
    loggers = [logging.getLogger(name) for name in ("", "ipt_jax", "asyncio")]
    before = [(each.level, each.propagate, each.handlers[:]) for each in loggers]
    verbosity, hook = absl_logging.get_verbosity(), sys.unraisablehook
    try:
        yield
    finally:
        sys.unraisablehook = hook
        absl_logging.set_verbosity(verbosity)
        for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
            each.setLevel(level)
            each.propagate, each.handlers[:] = propagate, handlers


def start_python(source: str, *arguments: str) -> subprocess.Popen:
    """Starts a process that imports single modules of the package, without what `import ipt_jax` brings along."""
    bare = "import sys, types; sys.modules['ipt_jax'] = types.ModuleType('ipt_jax')\n"
    bare += f"sys.modules['ipt_jax'].__path__ = [{str(ROOT / 'ipt_jax')!r}]\n"
    command = [sys.executable, "-c", bare + textwrap.dedent(source), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
