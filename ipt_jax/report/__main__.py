"""The command that writes a report: `python -m ipt_jax.report WORKDIR [WORKDIR …] --output=FOLDER`."""

from absl import flags

from ipt_jax import cli
from ipt_jax.errors import InputError
from ipt_jax.report.page.page import render

COMMAND_FLAGS = flags.FlagValues()
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder of the report; by default WORKDIR/report.", flag_values=COMMAND_FLAGS
)


_METHODS = flags.DEFINE_multi_string(
    "methods", [], "A method to show, by its label; may be repeated. Default: all.", flag_values=COMMAND_FLAGS
)
_METRICS = flags.DEFINE_list(
    "metrics", [], "Metrics to show beside the headline's, with commas. Default: all.", flag_values=COMMAND_FLAGS
)


def main(argv: list[str]) -> None:
    workdirs = argv[1:]
    if not workdirs:
        raise InputError("no working directory given; usage: python -m ipt_jax.report WORKDIR [WORKDIR …] --output=…")
    print(render(workdirs, _OUTPUT.value, methods=_METHODS.value, metrics=_METRICS.value))


if __name__ == "__main__":
    cli.run(main, COMMAND_FLAGS, positional=True)
