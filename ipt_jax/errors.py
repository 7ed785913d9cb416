"""The one exception for what the user can mend: it names the value, the place and the fix."""

import re

_LONGEST_VALUE = 300
_LONGEST_MESSAGE = 20_000  # room for a list of every tensor of a large model
# A quoted value, as repr writes it; the apostrophe of "don't" opens none. One that is never closed goes to the end, so
# that each character is looked at once.
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*+(?:'(?!\w))?|"(?:[^"\\]|\\.)*+(?:"(?!\w))?)""", re.DOTALL)


class InputError(ValueError):
    """A wrong input: a config leaf, a data file, a weights file, a command-line value.

    The commands print its message without a traceback and exit with status 2; everything else that
    is raised is a defect of ours and keeps its traceback. A value that the message quotes is shortened in its middle,
    and what would act on a terminal is written as an escape.
    """

    def __init__(self, message: str):
        super().__init__(shown(_QUOTED.sub(lambda found: _cut(found.group(), _LONGEST_VALUE), message)))


def shown(text: str) -> str:
    r"""A text of somebody else's as it may stand in a line of a terminal or a log: no control characters.

    >>> shown("a\x1b[2Jb\n")
    'a\\x1b[2Jb\n'
    """
    return _cut("".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text), _LONGEST_MESSAGE)


def _cut(text: str, longest: int) -> str:
    """The beginning and the end of a text that is too long."""
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]} … ({len(text) - longest:,} characters) … {text[-(longest // 2) :]}"
