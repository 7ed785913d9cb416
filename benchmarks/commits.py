"""Another commit's package beside today's benchmarks and tests: what a change of the package changed."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def code_of(commit: str, root: Path = ROOT) -> Iterator[Path]:
    """A folder with `ipt_jax` as it was at a commit, and `benchmarks` and `tests` as they are now.

    A process that is started in it, with it as PYTHONPATH, runs that package; `.` stands for the checkout as it is.

    Raises:
      SystemExit: git knows no such commit, or there is no git.
    """
    if commit == ".":
        yield root
        return
    try:
        archive = subprocess.run(["git", "archive", commit, "ipt_jax"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise SystemExit(f"the package of commit {commit!r} cannot be had from {root}: {said}") from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as file:
            file.extractall(folder, filter="data")
        for today in ("benchmarks", "tests"):
            (folder / today).symlink_to(root / today)
        yield folder
