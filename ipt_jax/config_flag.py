"""The flag --config: a config of the package by its name, or a file; what is wrong with it is said in one line."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict, config_flags

from ipt_jax import cli, configs
from ipt_jax.errors import InputError

_FOLDER = Path(configs.__file__).parent
_TO_IMPORT = ("common", "paper/base")  # what others start from; no experiments themselves
# Sections whose leaves have names of their own.
_OPEN = (
    "config.runs",
    "config.per_task",
    "config.task.options",
    "config.training.optimizer_options",
)
_START = "start from `config = ipt_jax.configs.common.get_config()`"
_MODULE = "config_config"  # what a file is called in sys.modules


def define(flag_values: flags.FlagValues) -> flags.FlagHolder[ConfigDict]:
    """Adds the flag `--config`, and with it `--config.SECTION.LEAF` for every leaf that the user overrides."""
    holder = config_flags.DEFINE_config_file(
        "config",
        None,
        f"The experiment: one that comes with the package ({', '.join(names())}), or a file of your own, FILE.py or "
        "FILE.py:ARGUMENT for its get_config. --config.SECTION.LEAF=VALUE overrides any leaf.",
        flag_values=flag_values,
    )
    # ml_collections' own knows no names, and keeps a file that is missing for the first access to its leaves.
    flag_values["config"].parser = _Parser()
    return holder


def resolved(flag_values: flags.FlagValues) -> ConfigDict:
    r"""The config with what the command line overrides.

    `--config.decoding.stop='\n\n'` means two line breaks, as in a tuple: a shell has no other way to type them in one
    text. `--config.layout.retriever="('bm25','random')"` is an axis, as a tuple of numbers is: of a setting whose value
    is one of a few names no other text begins with a bracket.
    """
    config = flag_values["config"].value.copy_and_resolve_references()
    overridden = config_flags.get_override_values(flag_values["config"])
    if "decoding.stop" in overridden:
        config.decoding.stop = tuple(map(cli.unescaped, config.decoding.stop))
    for path, text in overridden.items():
        if isinstance(text, str) and text.startswith("(") and _is_named(path):
            _set_axis(config, path, text)
    return config


def _is_named(path: str) -> bool:
    """Whether a setting that decides a result has a name of a few for its value."""
    from ipt_jax.experiment import schema

    return any(leaf.setting.choices for found, leaf in schema.decisive() if ".".join(found) == path)


def _set_axis(config: ConfigDict, path: str, text: str) -> None:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return  # it is told as a name that there is none of
    *sections, leaf = path.split(".")
    section = functools.reduce(lambda tree, name: tree[name], sections, config)
    with section.ignore_type():
        section[leaf] = values


def names() -> list[str]:
    """The package's experiments, such as `dart` and `paper/table1`."""
    return [name for name in _package_files() if name not in _TO_IMPORT]


def load(value: str) -> ConfigDict:
    """What `get_config` returns in the config that `value` names.

    Args:
      value: a name of `names`, or the path of a Python file; `:ARGUMENT` after either goes to `get_config`. A file goes
        before a name.

    Raises:
      InputError: there is no such config, or its code fails, or what it returns is no experiment; says file and line.
    """
    from ipt_jax.configs import common  # here, so that --help answers at once

    name, *arguments = value.split(":", 1)
    path = Path(name)
    if path.is_file():
        module = _guarded(lambda: _import_file(path), path)
    elif name in _package_files():
        path = _package_files()[name]
        module = _guarded(lambda: importlib.import_module(f"{configs.__name__}.{name.replace('/', '.')}"), path)
    else:
        raise InputError(_not_found(name))
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise InputError(f"{path} has no function get_config(); define one that returns the config: {_START}")
    _check_arguments(get_config, arguments, path)
    config = _guarded(lambda: get_config(*arguments), path)
    if not isinstance(config, ConfigDict) or isinstance(config, FrozenConfigDict):
        raise InputError(
            f"{_place_of(get_config, path)}: get_config() returns {type(config).__name__} and not a ConfigDict; "
            f"{_START} and end with `return config`"
        )
    _check_leaves(config, common.get_config(), "config", _place_of(get_config, path))
    return config


class _Parser(flags.ArgumentParser):
    syntactic_help = "a name or a file"

    def parse(self, argument: str) -> ConfigDict:
        return load(argument).lock()


def _package_files() -> dict[str, Path]:
    """name → file; the experiments on their own before those in folders."""
    files = [path for path in _FOLDER.rglob("*.py") if path.stem != "__init__"]
    files.sort(key=lambda path: (len(path.parts), path))
    return {path.relative_to(_FOLDER).with_suffix("").as_posix(): path for path in files}


def _import_file(path: Path) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(_MODULE, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(_MODULE, loader))
    sys.modules[_MODULE] = module
    loader.exec_module(module)
    return module


def _guarded(call: Callable[[], Any], path: Path) -> Any:
    """What the call into the config at `path` returns; whatever it raises becomes an InputError with file and line."""
    try:
        return call()
    except Exception as error:  # it is the user's own code
        raise InputError(_explained(error, path)) from error


def _not_found(name: str) -> str:
    path, known = Path(name), ", ".join(names())
    if name and path.is_dir():
        return f"{name} is a folder; name a file in it, or a config of the package: {known}"
    bare = re.sub(r"^(\./)?(ipt_jax/)?(configs/)?|\.py$", "", name)
    near = [bare] if bare in names() else difflib.get_close_matches(name, map(str, path.parent.glob("*.py")), n=1)
    near = near or difflib.get_close_matches(bare, names(), n=1)
    meant = f"; did you mean --config={near[0]}?" if near else ""
    return f"no such file, and none of the package's configs {known}{meant}"


def _check_arguments(get_config: Callable, arguments: Sequence[str], path: Path) -> None:
    signature = inspect.signature(get_config)
    try:
        signature.bind(*arguments)
    except TypeError:
        wanted = signature.replace(return_annotation=signature.empty)
        hint = f"leave out ':{arguments[0]}'" if arguments else "write --config=FILE.py:ARGUMENT"
        raise InputError(f"{_place_of(get_config, path)}: get_config{wanted}: {hint}") from None


def _check_leaves(config: ConfigDict, base: ConfigDict, section: str, place: str) -> None:
    """Every setting is there, and nothing that none reads."""
    for key in config:
        if key not in base:
            near = difflib.get_close_matches(key, base, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(base)}"
            raise InputError(f"{place}: {section}.{key} is not a setting; {meant}")
    for key, usual in base.items():
        name = f"{section}.{key}"
        if key not in config:
            raise InputError(f"{place}: {name} is missing; {_START}, which has every setting")
        if isinstance(usual, ConfigDict) != isinstance(config[key], ConfigDict):
            what = "a section" if isinstance(usual, ConfigDict) else f"a value like {usual!r}"
            raise InputError(f"{place}: {name}={config[key]!r} must be {what}")
        if isinstance(usual, ConfigDict) and name not in _OPEN:
            _check_leaves(config[key], usual, name, place)


def _explained(error: Exception, path: Path) -> str:
    """Where the user's code raised the error, what it says, and for an import what to write instead."""
    cause = error.args[0] if isinstance(error, AttributeError) and error.args else None
    if isinstance(error, InputError):
        what = str(error)
    elif isinstance(cause, KeyError):  # of ml_collections, with the near name in its own text
        what = f"unknown config key {cause.args[0]}"
    else:
        what = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.lineno:
        line = (error.text or "").strip()
        return f"{error.filename}:{error.lineno}: {what}" + (f" in `{line}`" if line and line.isprintable() else "")
    if isinstance(error, ImportError) and "Did you mean" not in what:
        what += _import_hint(error)
    return f"{_place(error, path)}: {' '.join(what.split())}"


def _import_hint(error: ImportError) -> str:
    module = error.name or ""
    if isinstance(error, ModuleNotFoundError):
        if module.split(".")[0] == "configs":
            return "; the package's are ipt_jax.configs: write `from ipt_jax.configs import common`"
        found = sys.modules.get(module.rpartition(".")[0])
        wanted = module.rpartition(".")[2]
    else:
        found = sys.modules.get(module)
        match = re.search(r"cannot import name '(\w+)'", str(error))
        wanted = match[1] if match else ""
    if found is None:
        return f"; install {module.split('.')[0]}, or start in the folder that has it"
    known = [*dir(found), *(inside.name for inside in pkgutil.iter_modules(getattr(found, "__path__", ())))]
    near = difflib.get_close_matches(wanted, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _place(error: Exception, path: Path) -> str:
    """file:line of the innermost frame in code that is neither Python's, a library's nor this package's."""
    folders = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")] + [str(Path(__file__).parent)]
    others = (*(folder + os.sep for folder in folders), "<")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(others)]
    own = own or [frame for frame in frames if Path(frame.filename) == path]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(path)


def _place_of(function: Callable, path: Path) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else str(path)
