"""An experiment from Python: `ipt_jax.run`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from ipt_jax.experiment import experiment
from ipt_jax.workdir.json_files import read_json
from ipt_jax.workdir.run_folder import RunFolder


def run(config: ml_collections.ConfigDict, workdir: str | os.PathLike[str] = "") -> list[Mapping[str, Any]]:
    """Does what of an experiment is not done yet, as `python -m ipt_jax.main` does.

    Args:
      config: such as `ipt_jax.configs.quickstart.get_config()`, changed as you like.
      workdir: its folder; by default runs/NAME.

    Returns:
      What `result.json` says of each of its runs, in the order of the config.

    Raises:
      InputError: something the user can mend; what was finished before stays finished.
    """
    folder = Path(workdir or f"runs/{config.name}")
    experiment.run(config, folder)
    return [read_json(RunFolder(folder, each.id).result) for each in experiment.resolve(config)]
