"""Where the project's files are, for tests."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
HELPERS = TESTS / "helpers"
GOLDEN = TESTS / "golden"
