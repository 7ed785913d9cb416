"""docs/extending.md: every example is applied to a copy of the package, works, and touches as few files as it says."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from paths import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^`(?P<file>ipt_jax/[\w/]+\.py)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
HEADING = re.compile(r"^## (?P<title>.+): (?P<files>\d+) files?$", re.M)


def sections():
    """(title, most files, [(file or None, kind, text)]): a block without a file's name goes on with the one before."""
    parts = HEADING.split(PAGE)[1:]
    for title, files, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        blocks, file = [], None
        for found in BLOCK.finditer(body):
            file = found["file"] or file
            blocks.append((file, found["kind"], found["text"]))
        yield title, int(files), blocks


def changed(source, diff):
    """A source with the lines of a diff: what stands there before must be found once."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    assert source.count(old) == 1, f"not there once:\n{old}"
    return source.replace(old, new)


@pytest.mark.parametrize(
    ("title", "most", "blocks"), list(sections()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_example_works_as_it_stands_on_the_page(title, most, blocks, tmp_path):
    shutil.copytree(ROOT / "ipt_jax", tmp_path / "ipt_jax", ignore=shutil.ignore_patterns("__pycache__"))
    touched, shown = set(), ""
    for file, kind, text in blocks:
        if kind == "pycon":
            shown += text + "\n"
            continue
        path = tmp_path / file
        touched.add(file)
        if kind == "python":
            assert not path.exists()
            path.write_text(text, encoding="utf-8")
        else:
            assert kind == "diff"
            path.write_text(changed(path.read_text(encoding="utf-8"), text), encoding="utf-8")
    assert len(touched) == most and shown
    (tmp_path / "shown.txt").write_text(shown, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "doctest", "shown.txt"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_an_example_of_each_kind():
    assert [title for title, _, _ in sections()] == [
        "A metric",
        "A task",
        "A retriever",
        "An optimizer",
        "A decoding strategy",
        "A tracker",
    ]


def test_a_change_of_what_is_not_there_is_no_change():
    assert changed("a\nb\nc\n", " a\n-b\n+d\n") == "a\nd\nc\n"
    with pytest.raises(AssertionError, match="not there once"):
        changed("a\n", "-b\n")
