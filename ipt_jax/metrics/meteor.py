"""METEOR 1.5 (Denkowski and Lavie 2014) through its Java program, where the machine has both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ipt_jax.errors import InputError
from ipt_jax.metrics.checks import check_corpus

JAR_VARIABLE = "METEOR_JAR"
_FINAL = re.compile(r"^Final score:\s+([0-9.eE+-]+)\s*$", re.MULTILINE)
_SECONDS = 600


def why_left_out() -> str | None:
    """What METEOR needs and the machine lacks, for people; None where it can be computed."""
    jar = os.environ.get(JAR_VARIABLE)
    if not jar:
        return f"left out: the environment variable {JAR_VARIABLE} names no meteor-1.5.jar"
    if not Path(jar).is_file():
        return f"left out: {JAR_VARIABLE}={jar} is not a file"
    if not shutil.which("java"):
        return "left out: there is no 'java' on the PATH"
    return None


def meteor(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus METEOR, 0 to 100, as `java -jar $METEOR_JAR … -l en -norm -r N` computes it.

    The program takes for each prediction the reference that is best for it. It reads N lines of references per
    prediction; an example that has fewer repeats its last one, which changes no maximum.

    Raises:
      ValueError: see `check_corpus`.
      InputError: Java or the jar is missing, or the program fails.
    """
    check_corpus(predictions, references)
    if reason := why_left_out():
        raise InputError(f"METEOR is {reason}")
    width = max(len(texts) for texts in references)
    padded = [text for texts in references for text in (*texts, *[texts[-1]] * (width - len(texts)))]
    with tempfile.TemporaryDirectory() as folder:
        paths = [_write_lines(Path(folder) / name, texts) for name, texts in (("test", predictions), ("refs", padded))]
        command = ["java", "-Xmx2G", "-jar", os.environ[JAR_VARIABLE], *paths, "-l", "en", "-norm", "-r", str(width)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"METEOR took more than {_SECONDS} seconds: {' '.join(command)}") from error
    found = _FINAL.search(done.stdout)
    if done.returncode or not found:
        message = (done.stderr.strip() or done.stdout.strip())[-300:]
        raise InputError(f"METEOR failed with status {done.returncode}; is {JAR_VARIABLE} METEOR's jar? {message}")
    return 100 * float(found.group(1))


def meteor_signature() -> str:
    """The convention, or why the metric is left out."""
    if reason := why_left_out():
        return reason
    return f"convention:meteor-jar|lang:en|norm:yes|refs:best|jar:{Path(os.environ[JAR_VARIABLE]).name}"


def _write_lines(path: Path, texts: Sequence[str]) -> str:
    # A line end inside a text would move every later line to the wrong example.
    path.write_text("".join(" ".join(text.split()) + "\n" for text in texts), encoding="utf-8")
    return str(path)
