"""Parts of one's own: found by module and object, by an entry point, and known by their code."""

import sys
import textwrap

import pytest

from ipt_jax.errors import InputError
from ipt_jax.runtime import named_parts
from ipt_jax.runtime.named_parts import code_hash, hash_of, named

KNOWN = {"alpha": 1, "beta": 2}


def resolve(name):
    return named(name, KNOWN, "ipt_jax.tests", "config.part")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module of one's own into the current folder, and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    count = 0

    def write(text):
        nonlocal count
        count += 1
        name = f"own_part_{tmp_path.name.replace('-', '_')}_{count}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    return write


def test_a_part_of_the_package_is_known_by_its_name_and_has_no_code_of_its_own():
    assert resolve("beta") == 2 and code_hash("beta", KNOWN, "ipt_jax.tests") == ""
    assert hash_of(InputError) == hash_of(InputError("x")) == ""


def test_an_object_in_the_current_folder_is_found_by_module_and_name(own):
    module = own("class Part: ...")
    assert resolve(f"{module}:Part").__name__ == "Part"


def test_the_hash_is_that_of_the_file_and_changes_with_it(own):
    first, same, other = own("def part(): return 1"), own("def part(): return 1"), own("def part(): return 2")
    hashes = [code_hash(f"{module}:part", KNOWN, "ipt_jax.tests") for module in (first, same, other)]
    assert hashes[0] == hashes[1] != hashes[2] and len(hashes[0]) == 16
    assert hash_of(resolve(f"{first}:part")) == hashes[0]


def test_what_an_installed_package_registers_is_found_by_its_name(own, tmp_path, monkeypatch):
    module = own("class Part: ...")
    folder = tmp_path / "given-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: given\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[ipt_jax.tests]\ngamma = {module}:Part\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve("gamma").__name__ == "Part" and code_hash("gamma", KNOWN, "ipt_jax.tests")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alhpa", r"^config.part='alhpa' is unknown; did you mean 'alpha'\? there are alpha, beta, or your own as"),
        ("nowhere.at.all:Part", r"^config.part='nowhere.at.all:Part' cannot be imported: No module named 'nowhere'"),
        ("json:Part", r"^config.part='json:Part' cannot be imported: module 'json' has no attribute 'Part'"),
    ],
)
def test_a_name_of_nothing_is_told_with_the_nearest_one(name, said):
    with pytest.raises(InputError, match=said):
        resolve(name)


def test_every_kind_of_part_has_a_group_of_its_own():
    groups = [
        named_parts.TASKS,
        named_parts.METRICS,
        named_parts.RETRIEVERS,
        named_parts.INITIALISERS,
        named_parts.JOURNALS,
    ]
    assert len(set(groups)) == len(groups) == 5 and all(group.startswith("ipt_jax.") for group in groups)
