"""The official evaluators' verdicts: the committed choice, and the full sets where they lie beside the checkout."""

import gzip
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from paths import GOLDEN, ROOT

COMMITTED = GOLDEN / "official"
FULL = ROOT.parent / "shared"


class Golden(NamedTuple):
    """One task's verdicts; the committed ones and the full set have the same files.

    Attributes:
      folder: verdicts and inputs, as `tests/golden/official/README.md` describes them.
      release: released files of the task, whole or the records that the verdicts need.
      whole: whether it is the full set.
    """

    folder: Path
    release: Path
    whole: bool

    def rows(self, name: str) -> list[dict[str, Any]]:
        return read_lines(self.folder / name)

    def json(self, name: str) -> Any:
        return read_json(self.folder / name)


def committed(task: str) -> Golden:
    return Golden(COMMITTED / task, COMMITTED / task / "release", False)


def goldens(task: str, *, slow: bool = False) -> list[Any]:
    """The parameters of a test or fixture: the committed verdicts, and the full set where it is there.

    Args:
      slow: whether the test takes more than five seconds on the full set.
    """
    parameters = [pytest.param(committed(task), id="committed")]
    full = Golden(FULL / "golden" / task, FULL / "data" / task, True)
    if full.folder.is_dir() and full.release.is_dir():
        parameters.append(pytest.param(full, id="full", marks=[pytest.mark.slow] if slow else []))
    return parameters


def whole_release(*tasks: str):
    """Marks a slow proof that only whole releases can give, beside those on the committed records."""
    missing = [task for task in tasks if not (FULL / "data" / task).is_dir()]
    reason = f"not beside the checkout: {', '.join(f'../shared/data/{task}' for task in missing)}"
    return lambda test: pytest.mark.slow(pytest.mark.skipif(bool(missing), reason=reason)(test))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of gzipped JSON Lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_json(path: Path) -> Any:
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def read_multi_bleu(line: str) -> dict[str, Any]:
    """What a line that multi-bleu.perl printed says, precisions in percent."""
    bleu, precisions, bp, hyp_len, ref_len = re.fullmatch(
        r"BLEU = (\S+), (\S+) \(BP=(\S+), ratio=\S+, hyp_len=(\d+), ref_len=(\d+)\)", line
    ).groups()
    return {
        "bleu": float(bleu),
        "precisions": [float(number) for number in precisions.split("/")],
        "bp": float(bp),
        "lengths": (int(hyp_len), int(ref_len)),
    }
