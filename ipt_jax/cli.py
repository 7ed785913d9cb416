"""How every command starts: absl flags, and a wrong input is one line on stderr with exit status 2."""

from __future__ import annotations

import difflib
import io
import os
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags

from ipt_jax.errors import InputError, shown
from ipt_jax.setting import Leaf, leaves

INPUT_ERROR_STATUS = 2
INTERRUPTED_STATUS = 130  # what shells expect of a program that Ctrl-C ended


class Said:
    """How commands speak, by --quiet and --log_format; `runtime.log` goes by it."""

    quiet = False
    format = "text"


SAID = Said()

# `ipt-jax COMMAND …` → the module that is the command, flags that the command stands for, and what it does.
COMMANDS: dict[str, tuple[str, list[str], str]] = {
    "run": ("ipt_jax.main", [], "do an experiment: --config=NAME or FILE"),
    "plan": ("ipt_jax.main", ["--plan"], "what an experiment would run and cost"),
    "list": ("ipt_jax.main", ["--list"], "the populations of an experiment that are not finished"),
    "preview": ("ipt_jax.tasks.preview", [], "what a model sees of a task, or of a run of an experiment"),
    "predict": ("ipt_jax.predict", [], "continue the inputs of a file, as a run did or under what was trained"),
    "score": ("ipt_jax.score", [], "score predictions, of this program or another"),
    "report": ("ipt_jax.report", [], "tables, figures and the page of one or several folders"),
    "export": ("ipt_jax.export", [], "what was trained as a file, or a folder of PEFT"),
    "download": ("ipt_jax.tasks.download", [], "the released files of a task"),
    "overlap": ("ipt_jax.tasks.overlap", [], "what a split shares with the training data"),
}


def console() -> None:
    """The console script: `ipt-jax run --config=quickstart` is `python -m ipt_jax.main --config=quickstart`."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name == "--version":
        from ipt_jax import __version__

        print(f"ipt_jax {__version__}")
    elif name in ("--help", "-h", "-?", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {each:{width}}  {what}" for each, (_, _, what) in COMMANDS.items()]
        print("\n".join(["usage: ipt-jax COMMAND [--FLAG=VALUE …]", "", *lines, "", "ipt-jax COMMAND --help has more"]))
    elif name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        _fail(f"{name!r} is no command; {hint}")
    else:
        module, flags_of, _ = COMMANDS[name]
        sys.argv = [f"ipt-jax {name}", *flags_of, *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def run(
    main: Callable[[list[str]], Any],
    command_flags: flags.FlagValues | None = None,
    *,
    required: Sequence[str] = (),
    positional: bool = False,
    argv: Sequence[str] | None = None,
    more_help: Callable[[Sequence[str]], str] | None = None,
) -> NoReturn:
    """Parses the command line, calls `main(argv)` and exits with what it returns (None is 0).

    An InputError, an unknown flag or config key, a wrong flag value and what the file system refuses are printed as one
    line, `error: …`, and exit with status 2; absl and ml_collections suggest the near name. Ctrl-C exits with 130.
    Any other exception keeps its traceback.

    A command keeps its flags in a `flags.FlagValues()` of its own, so that two commands with an `--output`
    can be imported by one program:

        COMMAND_FLAGS = flags.FlagValues()
        _OUTPUT = flags.DEFINE_string("output", None, "…", flag_values=COMMAND_FLAGS)

        def main(argv): … _OUTPUT.value …

        if __name__ == "__main__":
            cli.run(main, COMMAND_FLAGS, required=("output",))

    Args:
      main: gets the arguments that are no flags, the program's name first.
      command_flags: the command's flags; None where they are among absl's global ones.
      required: names of flags that the user must give.
      positional: whether the command takes arguments that are no flags.
      argv: the command line; by default `sys.argv`.
      more_help: the command line → what --help says instead of listing the flags; nothing where it is to list them.
    """
    given = list(sys.argv if argv is None else argv)
    own = command_flags if command_flags is not None else flags.FLAGS
    if "--version" in given[1:]:
        from ipt_jax import __version__

        print(f"ipt_jax {__version__}")
        sys.exit(0)
    if more_help is not None and {"--help", "-h"} & set(given[1:]):
        try:
            told = more_help(given)
        except InputError as error:
            _fail(str(error))
        if told:
            print(told, end="")
            sys.exit(0)
    _define_speech(own)
    # --help knows only the global flags, and of those it lists the main module's.
    lent = [name for name in own if name not in flags.FLAGS]
    for name in lent:
        flags.FLAGS[name] = own[name]
        flags.FLAGS.register_flag_by_module(sys.argv[0], own[name])

    def parse(line: Sequence[str]) -> list[str]:
        # absl's --help, --verbosity and the like are global. The line is parsed with the command's own collection,
        # because there a config flag adds the leaves that the user overrides.
        for name in flags.FLAGS:
            is_alias = flags.FLAGS[name].name != name  # -v of --verbosity comes along with it
            if name not in own and not is_alias:
                own[name] = flags.FLAGS[name]
        try:
            rest = own(line)
            missing = [f"--{name}" for name in required if own[name].value is None]
            if missing:
                raise flags.Error(f"{', '.join(missing)} must be given; --help describes the flags")
            if rest[1:] and not positional:
                raise flags.Error(f"unexpected argument {rest[1]!r}; every value follows a flag, as in --name=value")
        except flags.Error as error:
            _fail(str(error))
        except (AttributeError, KeyError) as error:
            # ml_collections, for a leaf that the config does not have: AttributeError(KeyError("'nme' Did you …")),
            # and for a section: that KeyError itself.
            cause = error.args[0] if isinstance(error, AttributeError) else error
            _fail(f"unknown config key {cause.args[0] if isinstance(cause, KeyError) else cause}")
        except Exception as error:  # absl and ml_collections raise what their parsers do: of names, places and literals
            _fail(f"the command line cannot be read: {type(error).__name__}: {shown(str(error))}")
        SAID.quiet, SAID.format = own["quiet"].value, own["log_format"].value
        flags.FLAGS.mark_as_parsed()
        return rest

    def guarded(rest: list[str]) -> Any:
        try:
            return main(rest)
        except InputError as error:
            _fail(str(error))
        except BrokenPipeError:  # whoever reads the output has seen enough, as in `… | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            _fail(_told(error))
        except KeyboardInterrupt:
            print("\nstopped by Ctrl-C", file=sys.stderr)
            sys.exit(INTERRUPTED_STATUS)

    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character gets its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app.run(guarded, argv=list(argv) if argv is not None else None, flags_parser=parse)
    finally:
        for name in lent:
            delattr(flags.FLAGS, name)


def _define_speech(own: flags.FlagValues) -> None:
    if "quiet" in own:  # the command has been run before in this program
        return
    flags.DEFINE_bool("quiet", False, "Say warnings and errors alone, and draw no bar.", flag_values=own)
    flags.DEFINE_enum(
        "log_format", "text", ("text", "json"), "Messages, for people or a line of JSON each.", flag_values=own
    )


def define_settings(kind: type, flag_values: flags.FlagValues) -> dict[str, Callable[[], Any]]:
    """A flag for each setting of a dataclass (see `setting`): name → what gives its value once flags are parsed."""
    return {leaf.name: _define(leaf, flag_values) for leaf in leaves(kind)}


def _define(leaf: Leaf, flag_values: flags.FlagValues) -> Callable[[], Any]:
    name, default, meaning = leaf.name, leaf.default, f"{leaf.setting.meaning[0].upper()}{leaf.setting.meaning[1:]}."
    if leaf.setting.choices:
        choices = {str(choice): choice for choice in leaf.setting.choices}
        holder = flags.DEFINE_enum(name, str(default), list(choices), meaning, flag_values=flag_values)
        return lambda: choices[holder.value]
    if isinstance(default, tuple):
        if default and isinstance(default[0], str):
            holder = flags.DEFINE_multi_string(name, list(default), meaning, flag_values=flag_values)
            return lambda: tuple(map(unescaped, holder.value))
        holder = flags.DEFINE_multi_integer(name, list(default) or None, meaning, flag_values=flag_values)
        return lambda: tuple(holder.value)
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}[leaf.kind]
    holder = define(name, default, meaning, flag_values=flag_values)
    return lambda: holder.value


def _told(error: OSError) -> str:
    """What the file system refused, and the line of ours that asked for it."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if f"{os.sep}ipt_jax{os.sep}" in frame.filename and frame.filename != __file__:
            place = f" (at {Path(frame.filename).name}:{frame.lineno})"
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{names}: {error.strerror}{place}" if names else f"{error}{place}"


def unescaped(text: str) -> str:
    r"""A text as it is typed in a shell: `\n` and `\t` stand for a line break and a tab, two backslashes for one.

    >>> unescaped(r"a\nb\\n")
    'a\nb\\n'
    """
    marks = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda found: marks[found.group()], text)


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(INPUT_ERROR_STATUS)
