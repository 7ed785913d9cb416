"""The rooms of the package, and the one direction in which they import: see the plan in CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest
from paths import ROOT, TESTS

# From the faces down: a room imports those behind it in this list and itself. A command is a face wherever it lies.
ROOMS = (
    *("commands", "configs", "plan", "experiment", "cost", "training", "decoding", "rows", "retrieval", "tasks"),
    *("adapters", "report", "metrics", "models", "workdir", "runtime", "ground"),
)
GROUND = ("errors", "seeds", "setting", "tables", "cli")
COMMANDS = ("tasks.download", "tasks.overlap", "tasks.preview", "report.__main__", "tasks.sample.make")
MOST_FILES_AT_THE_ROOT = 12
MOST_ARGUMENTS = 7


def modules(root=ROOT / "ipt_jax"):
    """Dotted name below the package → file."""
    return {".".join(path.relative_to(root).with_suffix("").parts): path for path in sorted(root.rglob("*.py"))}


def room_of(module):
    first = module.partition(".")[0]
    if module in COMMANDS:
        return "commands"
    if "." in module:
        return first
    return "ground" if first in GROUND else "commands"


def imports_of(path, known):
    """Modules of the package that a file imports anywhere, below the package's name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")[1:] if name.split(".")[0] == "ipt_jax" else []
            while parts and ".".join(parts) not in known and ".".join([*parts, "__init__"]) not in known:
                parts = parts[:-1]
            if parts:
                found.add(".".join(parts) if ".".join(parts) in known else ".".join([*parts, "__init__"]))
    return found


KNOWN = modules()
ARROWS = {module: imports_of(path, KNOWN) - {module} for module, path in KNOWN.items() if module != "__init__"}


@pytest.mark.parametrize("module", sorted(ARROWS))
def test_imports_go_down_the_list_of_rooms_only(module):
    own = ROOMS.index(room_of(module))
    assert [other for other in ARROWS[module] if ROOMS.index(room_of(other)) < own] == []


def test_no_modules_import_each_other_in_a_circle():
    left = dict(ARROWS)
    while free := [module for module in left if not left[module] & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


def test_the_arrows_are_those_that_files_have(tmp_path):
    file = tmp_path / "one.py"
    file.write_text("from ipt_jax import cli\nimport json\ndef f():\n    from ipt_jax.models.rope import Rotary\n")
    assert imports_of(file, KNOWN) == {"cli", "models.rope"}


def test_few_files_lie_at_the_root():
    assert len(list((ROOT / "ipt_jax").glob("*.py"))) <= MOST_FILES_AT_THE_ROOT


def test_only_faces_and_the_experiment_know_configs():
    """What others get is settings: frozen, and of one run."""
    users = {
        room_of(module)
        for module, path in KNOWN.items()
        if "ConfigDict" in path.read_text().replace("FrozenConfigDict", "")
    }
    assert users <= {"commands", "configs", "plan", "experiment"}


def test_tests_lie_in_the_room_of_what_they_test():
    """`ipt_jax/rows/layout.py` is tested by `tests/rows/test_layout.py`, aspects of it by `test_layout_….py` beside."""
    homeless = []
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        if folder.parts[:1] in ((), ("benchmarks",), ("launch",)):
            continue
        stems = [Path(name.replace(".", "/")) for name in KNOWN]
        here = [stem.name.replace("__main__", "main") for stem in stems if stem.parent == folder] + [folder.name]
        aspect = path.stem.removeprefix("test_")
        if not any(aspect == name or aspect.startswith(f"{name}_") for name in here):
            homeless.append(str(path.relative_to(TESTS)))
    assert homeless == []


def test_every_module_is_tested_by_a_file_of_its_name():
    """Configs are alike: `tests/configs/test_configs.py` tries every one of them by its name."""
    lacking = []
    for module in KNOWN:
        folder, name = TESTS.joinpath(*module.split(".")[:-1]), module.rpartition(".")[2].replace("__main__", "main")
        if name != "__init__" and room_of(module) != "configs" and not list(folder.glob(f"test_{name}*.py")):
            lacking.append(module)
    assert lacking == []


def test_no_function_has_more_than_seven_arguments():
    wide = []
    for module, path in KNOWN.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                if len([each for each in given if each.arg not in ("self", "cls")]) > MOST_ARGUMENTS:
                    wide.append(f"{module}.{node.name}")
    assert wide == []
