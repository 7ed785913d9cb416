"""`python -m ipt_jax.main --config=configs/quickstart.py --workdir=runs/quickstart`: flags only."""

from __future__ import annotations

from absl import flags
from ml_collections import ConfigDict, config_flags

from ipt_jax import cli, log
from ipt_jax.errors import InputError

_FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The experiment; --config.SECTION.LEAF=VALUE overrides any leaf.", flag_values=_FLAGS
)
_WORKDIR = flags.DEFINE_string("workdir", None, "The experiment's folder; by default runs/NAME.", flag_values=_FLAGS)
_PLAN = flags.DEFINE_bool("plan", False, "Print what would be run and what it costs, and stop.", flag_values=_FLAGS)
_SLICES = flags.DEFINE_string(
    "slices", "", "With --plan: devices together, such as '8 x NVIDIA H200 SXM, 64 x TPU v5e chip'.", flag_values=_FLAGS
)


def main(argv: list[str]) -> None:
    log.show_progress()
    from ipt_jax import experiment, plan, slices  # after the flags, so that --help answers at once

    config = _config()
    workdir = _WORKDIR.value or f"runs/{config.name}"
    if _PLAN.value:
        print(plan.describe(config, workdir, _SLICES.value or slices.DEFAULT))
    else:
        experiment.run(config, workdir)


def _config() -> ConfigDict:
    try:  # the file is read on first use, not when the flags are parsed
        return _CONFIG.value.copy_and_resolve_references()
    except FileNotFoundError as error:
        raise InputError(
            f"--config: {error.filename or error} does not exist; start from a file in configs/"
        ) from error


if __name__ == "__main__":
    cli.run(main, _FLAGS, required=("config",))
