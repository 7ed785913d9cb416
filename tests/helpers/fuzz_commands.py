"""Doors of settings: values in a config, and the command lines of every command, called in this process."""

import contextlib
import importlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import fuzz_models
import numpy as np
from commands import call
from fuzz_areas import Area
from fuzz_mutations import ODD, damage_a_file

from ipt_jax.errors import InputError
from ipt_jax.experiment import schema

_TEXTS = ["", " ", "-1", "0", "1", "3", "nan", "inf", "-inf", "1e999", "9" * 30, "9" * 5000, "0x10", "1_0", "True"]
# No text may name a place outside the case's own folder: commands write where they are told to.
_TEXTS += ["None", "()", "(1,", "[1]", "{}", "'", "x" * 5000, "é", "\udcff", "\x1b[2J", "a,b", ":", "=", "%s", "{0}"]
_TEXTS += ["missing/x", "rows.jsonl/x", ".", "sub", "rows.jsonl", "lm", "p.npy", "quickstart", "jsonl"]
_NUMBERS = [float("nan"), float("inf"), -float("inf"), 10**400, np.float32(0.5), np.int64(3), (), (1, 2), (None,), "x"]
_NUMBERS += [(1e-3, float("nan")), (0.1, 10**400), (np.float32(0.1),), (1, "x"), ((1,),), "{input}{", "{0}", object]


def _write_overrides(folder: Path) -> None:
    (folder / "overrides.json").write_text("{}")


def _odd_values(rng: random.Random, folder: Path) -> str:
    """One or two settings get a value that nobody expects; which, is kept in a file, for what reads it."""
    paths = [path for path, leaf in schema.walk() if leaf.setting.in_config]
    chosen = [
        (rng.choice(("", "", "runs.a.")) + ".".join(rng.choice(paths)), rng.randrange(len(ODD + _NUMBERS)))
        for _ in range(rng.choice((1, 1, 2)))
    ]
    (folder / "overrides.json").write_text(json.dumps(dict(chosen)))
    return ", ".join(f"{path}={(ODD + _NUMBERS)[index]!r}"[:200] for path, index in chosen)


def _resolve(folder: Path) -> None:
    """A config whose file gives its settings such values."""
    from ipt_jax.configs import common
    from ipt_jax.experiment.experiment import resolve

    config = common.get_config()
    config.limit.train = config.limit.dev = config.limit.test = 5
    config.layout.prompt_tokens, config.layout.demonstrations = 2, 1
    config.runs = {"a": {section: {} for section in schema.DECIDES if section != "seed"}}
    for path, index in json.loads((folder / "overrides.json").read_text()).items():
        section, leaf = config, path.split(".")
        try:
            for name in leaf[:-1]:
                section = section.get(name) if name in section else section.setdefault(name, {})
            section[leaf[-1]] = (ODD + _NUMBERS)[index]
        except Exception as error:  # ml_collections refuses it in the user's own file
            raise InputError(str(error)) from error
    for run in resolve(config):
        assert len(run.id) == 12 and run.method


def _write_files(folder: Path) -> None:
    """What the commands of `_LINES` read."""
    fuzz_models.write_finished_run(folder)
    (folder / "sub").mkdir()
    np.save(folder / "p.npy", np.ones((2, 8), np.float32))
    rows = [{"id": str(n), "input": f"Input: {n}\nOutput:", "prediction": f"out {n}"} for n in range(3)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


_SMALL = ["--config=jsonl", "--config.task.data_dir=.", "--config.model.source=lm", "--workdir=w"]
_TASK = ["--data_dir=.", "--split=dev"]
_LINES: dict[str, list[str]] = {
    "list": ["ipt_jax.main", *_SMALL, "--list"],
    "plan": ["ipt_jax.main", *_SMALL, "--plan", "--config.layout.overflow=truncate"],
    "predict": ["ipt_jax.predict", "--model=lm", "--input=rows.jsonl", "--output=o.jsonl", "--max_new_tokens=2"],
    "score": ["ipt_jax.score", "--task=jsonl", "--predictions=rows.jsonl", "--output=s.jsonl", *_TASK],
    "report": ["ipt_jax.report", "work", "--output=r"],
    "export": ["ipt_jax.export", "--prompt=p.npy", "--format=peft", "--output=e"],
    "preview": ["ipt_jax.tasks.preview", "jsonl", "--model=lm", "-n=1", "--demonstrations=1", *_TASK],
    "overlap": ["ipt_jax.tasks.overlap", "jsonl", "--data_dir=.", "--split=test"],
    "download": ["ipt_jax.tasks.download", "nothing", "--output_dir=d"],
}
_QUICK = ("list", "score", "report", "export", "preview", "overlap", "download")


def _other_line(names: Sequence[str]) -> Callable[[random.Random, Path], str]:
    """Puts a command line with one to three odd flags or arguments into `line.json`, and sometimes damages a file."""

    def change(rng: random.Random, folder: Path) -> str:
        name = rng.choice(names)
        line = list(_LINES[name])
        for _ in range(rng.choice((1, 1, 2, 3))):
            place, kind = rng.randrange(1, len(line)), rng.randrange(5)
            if kind == 0:
                del line[place:]
                line.append("--") if rng.randrange(4) == 0 else None
            elif kind == 1:
                line[place] = line[place].partition("=")[0] + "=" + rng.choice(_TEXTS)
            elif kind == 2:
                line.insert(place, rng.choice(_TEXTS))
            else:
                flag, value = rng.choice(_flags_of(line[0])), rng.choice(_TEXTS)
                line.append(rng.choice((f"--{flag}={value}", f"--{flag}", f"--no{flag}", f"--{flag}.{value}=1")))
            line += ["x"] if len(line) == 1 else []
        if name in ("list", "plan"):  # nothing is trained here
            line += [f"--{name}"]
        told = damage_a_file(rng, folder) if rng.randrange(6) == 0 and name != "plan" else ""
        (folder / "line.json").write_text(json.dumps(line))
        return f"{' '.join(line)[:300]!r} {told}"

    return change


def _flags_of(module: str) -> list[str]:
    names = {"ipt_jax.report": "ipt_jax.report.__main__"}
    found = importlib.import_module(names.get(module, module))
    own = getattr(found, "_FLAGS", None) or found.COMMAND_FLAGS
    settings = [f"config.{'.'.join(path)}" for path, _ in schema.walk()] if module == "ipt_jax.main" else []
    return sorted(name for name in own if name not in ("list", "plan", "distributed")) + settings


def _command(folder: Path) -> None:
    """A command ends with status 0, or with one line that says what is wrong."""
    chosen = folder / "line.json"
    line = json.loads(chosen.read_text()) if chosen.exists() else _LINES["score"]
    with contextlib.chdir(folder):
        ended = call(*line)
    if ended.returncode == 2:
        last = ended.stderr.strip().splitlines()[-1]
        assert last.startswith("error: "), last
        raise InputError(last)
    asked = any(argument.lstrip("-").startswith(("help", "?")) for argument in line)
    assert ended.returncode == 0 or asked, ended.stderr.strip().splitlines()[-3:]


AREAS: dict[str, Area] = {
    "config values": Area(_write_overrides, _resolve, damage=_odd_values),
    "command lines": Area(_write_files, _command, damage=_other_line(_QUICK)),
    "command lines that plan or predict": Area(_write_files, _command, damage=_other_line(("plan", "predict"))),
}
