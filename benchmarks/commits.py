"""Another commit's package beside today's benchmarks and tests: what a change of the package changed."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where a package without rooms has the modules that a step is made of.
_WITHOUT_ROOMS = {
    "adapters.soft_prompt": "soft_prompt",
    "cost.arithmetic": "arithmetic",
    "decoding.generation": "generation",
    "decoding.settings": "search",
    "models.files.hf_folder": "models.hf_folder",
    "rows.batching": "batching",
    "rows.layout": "layout",
    "rows.order": "order",
    "runtime.shapes": "shapes",
    "training.feed": "feed",
    "training.step": "training",
}


@contextlib.contextmanager
def code_of(commit: str, root: Path = ROOT) -> Iterator[Path]:
    """A folder with `ipt_jax` as it was at a commit, and `benchmarks` and `tests` as they are now.

    Where that package has no rooms yet, these import a training step's modules from where they are in it.

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
            if (folder / "ipt_jax" / "training.py").exists():
                shutil.copytree(root / today, folder / today, copy_function=_copy_without_rooms)
            else:
                (folder / today).symlink_to(root / today)
        yield folder


def _copy_without_rooms(source: str, target: str) -> None:
    if not source.endswith(".py"):
        Path(target).symlink_to(source)
        return
    names = "|".join(map(re.escape, _WITHOUT_ROOMS))
    text = Path(source).read_text(encoding="utf-8")
    text = re.sub(rf"\bipt_jax\.({names}) import\b", lambda found: f"ipt_jax.{_WITHOUT_ROOMS[found[1]]} import", text)
    Path(target).write_text(text, encoding="utf-8")
