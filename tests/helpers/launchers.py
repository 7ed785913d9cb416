"""A checkout of the launch scripts among programs that stand for gcloud, sbatch, ssh and ipt_jax.main. For conftest."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

PROGRAMS = Path(__file__).parent / "stand_ins"
EXPERIMENT = ["--config=dart", "--workdir=runs/dart"]
ON_GPU, ON_TPU = ("--config.execution.platform=gpu", "--config.execution.platform=tpu")
SLICE = ["--name=tpu", "--zone=us-west4-a"]
QUICK = ["--poll=0", "--fetch-every=0"]
# Instead of an environment with jax: what stands for the program.
ENVIRONMENT = f"""
suitable_python() {{ :; }}
make_environment() {{
  echo "$1" >extra
  mkdir -p .venv/bin
  ln -sf {shlex.quote(str(PROGRAMS / "fake_python"))} .venv/bin/python
}}
"""


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A checkout with nothing but the launch scripts."""
    checkout = tmp_path_factory.mktemp("committed")
    shutil.copytree(ROOT / "launch", checkout / "launch")
    (checkout / "launch" / "environment.sh").write_text(ENVIRONMENT)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "launch"]):
        subprocess.run([*git, *command], cwd=checkout, check=True)
    return checkout


class StandIns:
    """A checkout in which scripts are called, and the folder of the programs that stand for others."""

    def __init__(self, folder, committed):
        self.folder, self.checkout = folder, folder / "check out"  # a name with a space goes through every shell
        shutil.copytree(committed, self.checkout)
        (folder / "told").mkdir()
        path = os.pathsep.join([str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "STAND_INS": str(folder), "TMPDIR": str(folder)}

    def tell(self, what, *lines):
        (self.folder / "told" / what).write_text("".join(line + "\n" for line in lines))

    def run(self, *command, status=0, **environment):
        done = subprocess.run(
            ["bash", *command],
            cwd=self.checkout,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def calls(self, program):
        if not (self.folder / "calls.jsonl").exists():
            return []
        rows = map(json.loads, (self.folder / "calls.jsonl").read_text().splitlines())
        return [row[1:] for row in rows if row[0] == program]

    def steps(self):
        """The calls of gcloud that change something, in a word each; an ssh by what it makes launch/on_host.sh do."""
        words = []
        for call in self.calls("gcloud"):
            verb = call[3]
            if verb == "ssh":
                command = next(argument for argument in call if argument.startswith("--command="))
                words += re.findall(r"on_host\.sh (\w+)|(?:^|&& )(tar) ", command)
            elif verb != "describe":
                words.append((verb,))
        return ["".join(word) for word in words]


@pytest.fixture
def stand_ins(tmp_path, committed):
    return StandIns(tmp_path, committed)


@pytest.fixture
def cluster(stand_ins):
    stand_ins.run("launch/on_host.sh", "install", "cuda")
    return stand_ins
