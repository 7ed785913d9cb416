"""Hooks of mkdocs: pages that lie elsewhere in the repository are pages of the site, and links find them there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Page of the site → its file in the repository.
ELSEWHERE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
    "launch.md": "launch/README.md",
}
# What pages show of other folders: their place on the site is that in the repository.
SHOWN = ("benchmarks/results/*.png", "benchmarks/results/*.json")
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_files(files: Files, config: Any) -> Files:
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for pattern in SHOWN:
        for path in ROOT.glob(pattern):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links of a file, which go by the repository's folders, as those of its page."""
    own = page.file.src_uri
    source = ROOT / ELSEWHERE.get(own, f"docs/{own}")
    of_source = {ROOT / file: name for name, file in ELSEWHERE.items()}

    def moved(link: re.Match[str]) -> str:
        target = (source.parent / link["path"]).resolve()
        name = of_source.get(target)
        if name is None and target.is_relative_to(ROOT / "docs"):
            name = target.relative_to(ROOT / "docs").as_posix()
        if name is None and any(target.match(pattern) for pattern in SHOWN):
            name = target.relative_to(ROOT).as_posix()
        if name is None:
            return link[0]  # mkdocs says what it cannot find
        return "../" * own.count("/") + name + (link["anchor"] or "")

    return _LINK.sub(moved, markdown)
