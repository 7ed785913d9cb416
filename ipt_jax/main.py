"""`python -m ipt_jax.main --config=quickstart --workdir=runs/quickstart`: flags only."""

from __future__ import annotations

import dataclasses
import json

from absl import flags

from ipt_jax import cli, config_flag
from ipt_jax.errors import InputError
from ipt_jax.runtime import log

_FLAGS = flags.FlagValues()
config_flag.define(_FLAGS)
_WORKDIR = flags.DEFINE_string("workdir", None, "The experiment's folder; by default runs/NAME.", flag_values=_FLAGS)
_PLAN = flags.DEFINE_bool("plan", False, "Print what would be run and what it costs, and stop.", flag_values=_FLAGS)
_SLICES = flags.DEFINE_string(
    "slices", "", "With --plan: devices together, such as '8 x NVIDIA H200 SXM, 64 x TPU v5e chip'.", flag_values=_FLAGS
)
_LIST = flags.DEFINE_bool(
    "list",
    False,
    "Print a line for each population that is not finished, and stop: its id, the runs that are left, how many "
    "populations it waits for, and what it is, separated by tabs.",
    flag_values=_FLAGS,
)
_FORMAT = flags.DEFINE_enum(
    "format", "text", ("text", "json"), "With --plan or --list: for people, or for programs.", flag_values=_FLAGS
)
_ONLY = flags.DEFINE_list(
    "only", [], "Do these populations alone, ids from --list joined by commas, without a report.", flag_values=_FLAGS
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Be one of several processes that do one experiment together.", flag_values=_FLAGS
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "With --distributed: HOST:PORT of the first process.", flag_values=_FLAGS
)
_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "With --distributed: how many there are.", lower_bound=1, flag_values=_FLAGS
)
_PROCESS = flags.DEFINE_integer(
    "process_id", None, "With --distributed: which one this is, from 0.", lower_bound=0, flag_values=_FLAGS
)


def main(argv: list[str]) -> None:
    log.show_progress()
    from ipt_jax.cost import spread  # after the flags, so that --help answers at once
    from ipt_jax.experiment import experiment
    from ipt_jax.plan import plan
    from ipt_jax.runtime import processes

    config = config_flag.resolved(_FLAGS)
    workdir = _WORKDIR.value or f"runs/{config.name}"
    if (_PLAN.value or _LIST.value) and _DISTRIBUTED.value:
        raise InputError("--plan and --list are for one process; leave --distributed out")
    if _FORMAT.value == "json" and not (_PLAN.value or _LIST.value):
        raise InputError("--format=json is for --plan and --list; what an experiment gives is in its folder")
    if _PLAN.value:
        if _FORMAT.value == "json":
            print(json.dumps(plan.as_data(config, workdir), indent=2))
        else:
            print(plan.describe(config, workdir, _SLICES.value or spread.DEFAULT))
        return
    if _LIST.value:
        jobs = experiment.list_jobs(config, workdir)
        if _FORMAT.value == "json":
            print(json.dumps([dataclasses.asdict(job) for job in jobs], indent=2))
        for job in jobs if _FORMAT.value == "text" else ():
            print(job.line())
        return
    processes.start(_DISTRIBUTED.value, _COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    experiment.run(config, workdir, _ONLY.value)


def _help(line: list[str]) -> str:
    """With --config=NAME or FILE: every setting with its value there and its meaning; else nothing."""
    named = [each.partition("=")[2] for each in line if each.startswith(("--config=", "-config="))]
    if not named:
        return ""
    from ipt_jax.experiment import settings_page

    return settings_page.help_of(named[-1], config_flag.load(named[-1]))


if __name__ == "__main__":
    cli.run(main, _FLAGS, required=("config",), more_help=_help)
