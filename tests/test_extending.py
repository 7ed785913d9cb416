"""docs/extending.md: every example is applied to a copy of the package, works, and touches as few files as it says."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from paths import HELPERS, ROOT

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


def applied(blocks, folder):
    """Applies a section's blocks to a copy of the package: the files that it touches, and what is behind its `>>>`."""
    shutil.copytree(ROOT / "ipt_jax", folder / "ipt_jax", ignore=shutil.ignore_patterns("__pycache__"))
    touched, shown = set(), ""
    for file, kind, text in blocks:
        if kind == "pycon":
            shown += text + "\n"
            continue
        path = folder / file
        touched.add(file)
        if kind == "python":
            assert not path.exists()
            path.write_text(text, encoding="utf-8")
        else:
            assert kind == "diff"
            path.write_text(changed(path.read_text(encoding="utf-8"), text), encoding="utf-8")
    return touched, shown


def run_in(folder, *command, paths=()):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, *paths)))}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("title", "most", "blocks"), list(sections()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_example_works_as_it_stands_on_the_page(title, most, blocks, tmp_path):
    touched, shown = applied(blocks, tmp_path)
    assert len(touched) == most and shown
    (tmp_path / "shown.txt").write_text(shown, encoding="utf-8")
    run_in(tmp_path, "-m", "doctest", "shown.txt")


IA3 = """
from small_config import config_for
from ipt_jax.adapters.trained import load_adapter
from ipt_jax.experiment import experiment
from ipt_jax.runtime import preemption
from ipt_jax.training import checkpoints
from ipt_jax.workdir.json_files import read_rows

config = config_for(LM, CACHE)
shown = {"demonstrations": 1, "retriever": "random"}
config.runs = {"ia3": {"adapter": {"kind": "ia3"}, "layout": shown, "seed": (0, 1)}}
save = checkpoints.Checkpoints.save
def stop(self, step, state):
    save(self, step, state)
    if step == 4:
        raise preemption.Preempted(15)
checkpoints.Checkpoints.save = stop
try:
    experiment.run(config, "work")
except preemption.Preempted:
    checkpoints.Checkpoints.save = save
experiment.run(config, "work")
experiment.run(config, "whole")
for row in read_rows("work/results.jsonl"):
    one, other = (load_adapter(f"{folder}/runs/{row['run']}") for folder in ("work", "whole"))
    assert one.digest() == other.digest() and one.kind == "ia3"
    print(row["method"], row["seed"], row["training"]["numbers"], row["training"]["prompt_moved"] > 0)
"""


def test_the_kind_of_adapter_on_the_page_is_trained_resumed_and_decoded(lm_folder, cache, tmp_path):
    (blocks,) = (blocks for title, _, blocks in sections() if title == "A kind of adapter")
    applied(blocks, tmp_path)
    script = IA3.replace("LM", repr(str(lm_folder))).replace("CACHE", repr(str(cache)))
    out = run_in(tmp_path, "-c", script, paths=[HELPERS])
    assert "ia3, random one-shot 0 " in out and "ia3, random one-shot 1 " in out and "False" not in out


def test_the_page_has_an_example_of_each_kind():
    assert [title for title, _, _ in sections()] == [
        "A metric",
        "A task",
        "A retriever",
        "A kind of adapter",
        "An optimizer",
        "A decoding strategy",
        "A tracker",
    ]


def test_a_change_of_what_is_not_there_is_no_change():
    assert changed("a\nb\nc\n", " a\n-b\n+d\n") == "a\nd\nc\n"
    with pytest.raises(AssertionError, match="not there once"):
        changed("a\n", "-b\n")
