"""What the stand-in programs share: they record their calls, and take from a file what they are told to do.

All is in the folder that STAND_INS names: calls.jsonl, a row of [program, argument, …] per call; told/WHAT, a line per
time that WHAT happens, of which the first is taken away; and the folders of the machines that they stand for.
"""

import fcntl
import json
import os
import sys
from pathlib import Path

FOLDER = Path(os.environ["STAND_INS"])


def record():
    with open(FOLDER / "calls.jsonl", "a") as file:  # short appended lines do not mix
        file.write(json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n")


def told(what, otherwise=""):
    """The next line of told/WHAT, or `otherwise` where there is none."""
    path = FOLDER / "told" / what
    if not path.exists():
        return otherwise
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # processes that run side by side each take a line of their own
        lines = file.read().splitlines()
        file.seek(0)
        file.truncate()
        file.write("".join(line + "\n" for line in lines[1:]))
    return lines[0] if lines else otherwise
